// The box where the question is written.

import { report } from "./announce.js";
import { codePoints, count } from "./format.js";
import { language, words } from "./strings.js";

const byId = (id) => document.getElementById(id);
const question = byId("question");
let most = 4000;

// sends says if a key sends what is written. While an input method composes, Enter
// confirms and does not send. Safari ends the composition before this event, which
// then has the key code 229.
export function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}

// fit makes a box as high as its text.
export function fit(box) {
  if (CSS.supports("field-sizing", "content")) return;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

// tooLong is what is wrong with the length of a question, "" if nothing is.
export function tooLong(text) {
  const over = codePoints(text.trim()) - most;
  return over > 0 ? words.tooLong(count(over, language), count(most, language)) : "";
}

// limit sets how many characters a question may have.
export function limit(characters) {
  most = characters;
  measure();
}

// measure fits the box to the question and counts its characters. It reports whether
// the question is too long.
function measure() {
  fit(question);
  const length = codePoints(question.value.trim());
  const counter = byId("counter");
  counter.hidden = length <= most * 0.9;
  counter.textContent = counter.hidden ? "" : `${count(length, language)} / ${count(most, language)}`;
  counter.ariaLabel = words.counter(count(length, language), count(most, language));
  const wrong = tooLong(question.value);
  question.ariaInvalid = String(wrong !== "");
  const problem = byId("problem");
  if (wrong !== "") {
    if (problem.textContent !== wrong) report(wrong);
    problem.dataset.kind = "length";
  } else if (problem.dataset.kind === "length") {
    report("");
    delete problem.dataset.kind;
  }
  return wrong !== "";
}

// write puts a text into the box.
export function write(text) {
  question.value = text;
  measure();
}

// showBusy shows if an answer is on its way.
export function showBusy(busy) {
  const focused = document.activeElement;
  byId("log").ariaBusy = String(busy);
  byId("send").hidden = busy;
  byId("stop").hidden = !busy;
  byId("hint").textContent = busy ? words.hintBusy : words.hint;
  if (focused === byId("send") || focused === byId("stop")) focusDesk();
}

// focusDesk puts the focus where one goes on, without raising the keyboard of a
// touch screen.
export function focusDesk() {
  if (matchMedia("(pointer: fine)").matches) question.focus();
  else byId(byId("send").hidden ? "stop" : "send").focus();
}

// onSend calls send with each question that can be sent; it returns false to keep it
// in the box.
export function onSend(send) {
  const submit = () => {
    const text = question.value.trim();
    if (text === "" || measure()) return question.focus();
    if (send(text) !== false) write("");
  };
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  question.addEventListener("keydown", (event) => {
    if (!sends(event)) return;
    event.preventDefault();
    submit();
  });
}

question.addEventListener("input", () => {
  if (byId("problem").dataset.kind !== "length") report("");
  measure();
});
