// The ticket that opens one WebSocket, which can have no headers. The server gives it
// for an API key, which this tab keeps.

import { words } from "./strings.js";

const byId = (id) => document.getElementById(id);
const stored = "mangaassist.key.1";

export async function ticket() {
  let key = sessionStorage.getItem(stored) ?? (await askKey(""));
  for (;;) {
    const response = await fetch("v1/ticket", { method: "POST", headers: { "X-Api-Key": key } });
    if (response.ok) {
      sessionStorage.setItem(stored, key);
      return (await response.json()).ticket;
    }
    if (response.status !== 401) throw new Error(`no ticket: ${response.status}`);
    sessionStorage.removeItem(stored);
    key = await askKey(words.keyWrong);
  }
}

function askKey(problem) {
  byId("key-problem").textContent = problem;
  byId("key-input").value = "";
  if (!byId("key").open) byId("key").showModal();
  return new Promise((resolve) => {
    byId("key-form").onsubmit = (event) => {
      event.preventDefault();
      byId("key").close();
      resolve(byId("key-input").value.trim());
    };
    byId("key").oncancel = (event) => event.preventDefault(); // nothing goes without it
  });
}
