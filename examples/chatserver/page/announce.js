// What a screen reader says, and what the page says next to the question.

const byId = (id) => document.getElementById(id);
const stay = 10_000;
let timer = 0;

// announce lets a screen reader say something once.
export function announce(text) {
  byId("announcer").textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => (byId("announcer").textContent = ""), stay);
}

// report says what is wrong with what was just done, next to the question.
export function report(text) {
  byId("problem").textContent = text;
}
