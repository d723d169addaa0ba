// The menu of models, with what a million tokens cost.

import { cost } from "./format.js";
import { keepSetting, setting } from "./setting.js";
import { language, words } from "./strings.js";

const byId = (id) => document.getElementById(id);
const byDefault = "sonnet";
let chosen = setting("model");

// model is the name of the model that is chosen.
export function model() {
  return document.querySelector("input[name=model]:checked")?.value ?? byDefault;
}

// showModels fills the menu with the models that the server has.
export function showModels(models) {
  const names = models.map(({ name }) => name);
  const current = [chosen, byDefault].find((name) => names.includes(name)) ?? names[0];
  byId("model-list").replaceChildren(...models.map((entry) => {
    const option = byId("model-template").content.cloneNode(true).firstElementChild;
    const input = option.querySelector("input");
    input.value = entry.name;
    input.checked = entry.name === current;
    input.addEventListener("change", () => choose(entry.name));
    option.querySelector(".model-name").textContent = nameOf(entry.name);
    option.querySelector(".model-hint").textContent = words.models[entry.name]?.hint ?? entry.id ?? "";
    option.querySelector(".model-price").textContent = price(entry);
    if (entry.id) option.title = entry.id;
    return option;
  }));
  showChosen();
}

function choose(name) {
  chosen = name;
  keepSetting("model", name);
  showChosen();
}

function showChosen() {
  byId("model-chosen").textContent = nameOf(model());
  byId("model").ariaLabel = words.modelChosen(nameOf(model()));
}

const nameOf = (name) => words.models[name]?.name ?? name;

function price({ routing, input_per_million_usd: input, output_per_million_usd: output }) {
  if (routing) return words.priceOfChoice;
  return [input, output].every((amount) => Number(amount) >= 0 && amount != null)
    ? words.price(cost(input, language), cost(output, language))
    : words.priceUnknown;
}

// A click on a model closes the menu; the arrow keys only choose.
byId("model-list").addEventListener("click", ({ target, detail }) => {
  if (detail > 0 && target.closest("label")) byId("models").hidePopover();
});
byId("models").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  byId("models").hidePopover();
});
byId("models").addEventListener("toggle", ({ newState }) => {
  byId("model").ariaExpanded = String(newState === "open");
  if (newState === "open") byId("models").querySelector("input:checked")?.focus();
});
