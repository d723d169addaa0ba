// The question of a turn: folded if it is long, and a box to ask it differently.

import { fit, sends, tooLong } from "./composer.js";
import { codePoints, count, languageOf } from "./format.js";
import { readable } from "./readable.js";
import { language, translate, words } from "./strings.js";

const longest = 600; // characters that are shown at once
const mostLines = 10;

export class QuestionView {
  #element;
  #turn;
  #actions;

  constructor(element, turn, actions) {
    this.#element = element;
    this.#turn = turn;
    this.#actions = actions;
    const text = this.#find(".question-text");
    text.textContent = readable(turn.question);
    text.lang = languageOf(turn.question);
    this.#find(".edit").addEventListener("click", () => this.edit());
    const long = codePoints(turn.question) > longest || turn.question.split("\n").length > mostLines;
    if (long) this.#fold();
  }

  #find(selector) {
    return this.#element.querySelector(selector);
  }

  #fold() {
    const button = this.#find(".unfold");
    const show = (open) => {
      this.#find(".question-text").classList.toggle("folded", !open);
      button.ariaExpanded = String(open);
      button.textContent = open ? words.fold : words.unfold(count(codePoints(this.#turn.question), language));
    };
    button.hidden = false;
    button.addEventListener("click", () => show(button.ariaExpanded !== "true"));
    show(false);
  }

  // allow says if the question can be asked differently now. The button keeps its
  // place, so that the text below does not move.
  allow(allowed) {
    this.#find(".edit").classList.toggle("absent", !allowed);
  }

  // edit opens the box.
  edit() {
    if (this.#find(".editor")) return this.#find("textarea").focus();
    const form = document.getElementById("editor-template").content.cloneNode(true).firstElementChild;
    translate(form);
    const box = form.querySelector("textarea");
    const problem = form.querySelector(".editor-problem");
    const after = this.#actions.after(this.#turn);
    form.querySelector(".editor-note").textContent = after > 0 ? words.editDrops(after) : "";
    box.value = this.#turn.question;
    box.ariaLabel = words.edit;
    const close = () => {
      form.remove();
      this.#element.classList.remove("editing");
      this.#find(".edit").focus();
    };
    const send = (event) => {
      event.preventDefault();
      const text = box.value.trim();
      problem.textContent = tooLong(text);
      if (text === "" || problem.textContent !== "") return box.focus();
      this.#actions.resend(this.#turn, text);
    };
    form.addEventListener("submit", send);
    form.querySelector(".cancel").addEventListener("click", close);
    box.addEventListener("input", () => fit(box));
    box.addEventListener("keydown", (event) => {
      if (sends(event)) send(event);
      if (event.key === "Escape" && !event.isComposing) {
        event.stopPropagation();
        close();
      }
    });
    this.#element.append(form);
    this.#element.classList.add("editing");
    fit(box);
    box.focus();
  }
}
