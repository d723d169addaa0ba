// The list of conversations: open one, rename it, delete it.

import { languageOf } from "./format.js";
import { readable } from "./readable.js";
import { language, words } from "./strings.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("conversations");

// Shelf shows the entries of a store. The actions are open(id), rename(id, title) and
// remove(id).
export class Shelf {
  #store;
  #actions;
  #shown = "";
  current = ""; // the id of the conversation that is shown

  constructor(store, actions) {
    this.#store = store;
    this.#actions = actions;
    byId("history").addEventListener("click", () => this.#open());
    byId("shelf-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close()); // beside it
  }

  async #open() {
    await this.show();
    dialog.showModal();
    dialog.querySelector("[aria-current], .shelf-open")?.focus();
  }

  // show draws the list anew.
  async show() {
    const entries = await this.#store.list();
    const state = JSON.stringify([entries, this.current, language]);
    if (state === this.#shown) return; // and the focus stays where it is
    this.#shown = state;
    byId("shelf-empty").hidden = entries.length > 0;
    byId("shelf-list").replaceChildren(...entries.map((entry) => this.#entry(entry)));
  }

  #entry({ id, title, questions, askedAt }) {
    const element = byId("shelf-template").content.cloneNode(true).firstElementChild;
    const find = (selector) => element.querySelector(selector);
    const name = readable(title) || words.untitled;
    element.dataset.id = id;
    find(".shelf-name").textContent = name;
    find(".shelf-name").lang = languageOf(name);
    find(".shelf-count").textContent = words.shelfLine(questions, day(askedAt));
    if (id === this.current) find(".shelf-open").ariaCurrent = "true";
    find(".shelf-open").addEventListener("click", () => {
      dialog.close();
      this.#actions.open(id);
    });
    find(".shelf-rename").ariaLabel = words.rename(name);
    find(".shelf-rename").addEventListener("click", () => this.#rename(id, title));
    find(".shelf-remove").ariaLabel = words.remove(name);
    find(".shelf-remove").addEventListener("click", () => this.#remove(id, name));
    return element;
  }

  async #rename(id, title) {
    byId("rename-input").value = title;
    const answer = asked(byId("rename"));
    byId("rename-input").select();
    if (!(await answer)) return;
    await this.#actions.rename(id, byId("rename-input").value.trim());
    await this.show();
    this.#focus(id, ".shelf-rename");
  }

  async #remove(id, name) {
    byId("remove-text").textContent = words.removeText(name);
    if (!(await asked(byId("remove")))) return;
    const next = this.#element(id)?.nextElementSibling?.dataset.id;
    await this.#actions.remove(id);
    await this.show();
    this.#focus(next, ".shelf-open");
  }

  #element(id) {
    return byId("shelf-list").querySelector(`[data-id="${CSS.escape(id ?? "")}"]`);
  }

  #focus(id, selector) {
    if (dialog.open) (this.#element(id)?.querySelector(selector) ?? byId("shelf-close")).focus();
  }
}

// asked shows a dialog and promises if it was confirmed.
function asked(question) {
  question.showModal();
  return new Promise((resolve) => {
    const form = question.querySelector("form");
    form.onsubmit = (event) => {
      event.preventDefault();
      question.returnValue = "yes";
      question.close("yes");
    };
    question.querySelector(".cancel").onclick = () => question.close("");
    question.onclose = () => resolve(question.returnValue === "yes");
    question.returnValue = "";
  });
}

function day(time) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(time);
}
