// What the pages beside the chat share: the key, the language, and asking again and again.

import { language, switchLanguage } from "./strings.js";
import { words } from "./pages-strings.js";

const byId = (id) => document.getElementById(id);
const storedKey = "mangaassist.key.1"; // the chat has the same

// ask sends a request with the tab's API key. If the server wants one, it asks the
// reader for it.
export async function ask(path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(storedKey);
    const response = await fetch(path, { ...options, headers: { ...options.headers, ...(key ? { "X-Api-Key": key } : {}) } });
    if (response.status !== 401) return response;
    if (sessionStorage.getItem(storedKey) !== key) continue; // another request has asked meanwhile
    await newKey(key === null ? "" : words().keyWrong);
  }
}

let asking = null;

function newKey(problem) {
  asking ??= new Promise((resolve) => {
    sessionStorage.removeItem(storedKey);
    byId("key-problem").textContent = problem;
    byId("key-input").value = "";
    byId("key").showModal();
    byId("key").oncancel = (event) => event.preventDefault(); // nothing goes without it
    byId("key-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(storedKey, byId("key-input").value.trim());
      byId("key").close();
      asking = null;
      resolve();
    };
  });
  return asking;
}

// askJSON is the answer of a request, or an error with the words for the reader.
export async function askJSON(path, options) {
  let response;
  try {
    response = await ask(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(words().unreachable);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new Error(response.status === 429 ? words().tooMany : words().failed);
}

// every calls fn now and again after each wait, in milliseconds, while somebody may look
// at the page. It returns {now, pause}.
export function every(wait, fn) {
  let timer = 0;
  let paused = false;
  let running = false;
  const round = async () => {
    clearTimeout(timer);
    if (running || paused || document.visibilityState !== "visible") return;
    running = true;
    try {
      await fn();
    } finally {
      running = false;
    }
    clearTimeout(timer);
    timer = setTimeout(round, wait);
  };
  document.addEventListener("visibilitychange", round);
  addEventListener("online", round);
  round();
  return {
    now: round,
    pause(on) {
      paused = on;
      round();
    },
  };
}

// announce tells a screen reader.
export function announce(text) {
  byId("announcer").textContent = text;
}

// begin makes the page speak the reader's language, and calls show now and whenever it
// changes.
export function begin(title, show) {
  const speak = () => {
    const w = words();
    document.documentElement.lang = language;
    document.title = `${w[title]} · MangaAssist`;
    for (const element of document.querySelectorAll("[data-word]")) element.textContent = w[element.dataset.word];
    for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", w[element.dataset.label]);
    byId("language-name").textContent = language === "ja" ? "English" : "日本語";
    byId("language-name").lang = byId("language").lang = language === "ja" ? "en" : "ja";
    byId("language").ariaLabel = w.switchLanguage;
    show();
  };
  byId("language").addEventListener("click", () => {
    switchLanguage();
    speak();
  });
  speak();
}
