// The notice above the conversation. It stays away once it was closed, until it says
// something else.

import { languageOf } from "./format.js";
import { keepSetting, setting } from "./setting.js";
import { words } from "./strings.js";

const byId = (id) => document.getElementById(id);
let closed = setting("notice");
let original = "";

// showNotice shows what the server says of itself, in the page's language if the page
// has words for it.
export function showNotice({ backend, notice = "" }) {
  original = notice;
  const text = words.notices[backend] ?? notice;
  byId("notice").hidden = text === "" || closed === notice;
  byId("notice-text").textContent = text;
  byId("notice-text").lang = languageOf(text);
  byId("notice-close").ariaLabel = words.closeNotice;
}

byId("notice-close").addEventListener("click", () => {
  closed = original;
  keepSetting("notice", closed);
  byId("notice").hidden = true;
  byId("question").focus();
});
