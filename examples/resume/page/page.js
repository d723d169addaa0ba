import { follow } from "./client.js";

const form = document.forms[0];
const answer = document.getElementById("answer");
const end = document.getElementById("end");
window.messages = []; // what has come, for tests
let leave = () => {};

function show(message) {
  window.messages.push(message);
  if (message.type === "token") answer.append(message.data);
  if (message.type === "complete") end.textContent = "complete";
  if (message.type === "error") end.textContent = `ended: ${message.code}`;
}

// The id is in the tab's storage, so that a reload finds the answer.
function open(url, after) {
  leave();
  window.messages = [];
  answer.textContent = end.textContent = "";
  leave = follow(url, show, after);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const url = `answers/${crypto.randomUUID()}`;
  sessionStorage.setItem("answer", url);
  open(`${url}?q=${encodeURIComponent(form.q.value)}`);
});

document.getElementById("stop").addEventListener("click", () => fetch(sessionStorage.getItem("answer"), { method: "DELETE" }));

if (sessionStorage.getItem("answer")) open(sessionStorage.getItem("answer"), 0);
