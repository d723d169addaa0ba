// What the page says about its connection.

import { announce } from "./announce.js";
import { words } from "./strings.js";

const byId = (id) => document.getElementById(id);
let connection = null;
let wasLost = false;
let countdown = 0;

// watchConnection shows the state of a connection from now on.
export function watchConnection(watched) {
  connection = watched;
  connection.addEventListener("state", () => {
    tell();
    showConnection();
  });
  for (const event of ["online", "offline"]) addEventListener(event, showConnection);
  byId("reconnect").addEventListener("click", () => connection.reconnect());
}

function tell() {
  const { state } = connection;
  if (state === "waiting" && !wasLost) announce(navigator.onLine ? words.lostNow : words.offline);
  if (state === "open" && wasLost) announce(words.announceConnected);
  if (state !== "connecting") wasLost = state === "waiting";
}

export function showConnection() {
  const { state } = connection;
  const offline = !navigator.onLine;
  clearInterval(countdown);
  byId("status").dataset.state = state;
  byId("status-text").textContent = { open: words.connected, connecting: words.connecting, waiting: words.disconnected }[state];
  byId("lost").hidden = !wasLost && !offline;
  byId("reconnect").hidden = offline || !wasLost;
  if (state === "waiting" && !offline) countdown = setInterval(showWait, 1000);
  showWait();
}

function showWait() {
  const left = Math.ceil((connection.retryAt - Date.now()) / 1000);
  if (!navigator.onLine) byId("lost-text").textContent = words.offline;
  else byId("lost-text").textContent = connection.state === "waiting" && left > 0 ? words.lost(left) : words.lostNow;
}
