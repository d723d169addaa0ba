// The character references that models write, such as &amp; and &#128214;.

import { readable } from "./readable.js";

const named = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", hellip: "…", mdash: "—", ndash: "–",
  lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", bull: "•", middot: "·", deg: "°", times: "×", divide: "÷", plusmn: "±", frac12: "½",
  larr: "←", rarr: "→", uarr: "↑", darr: "↓", le: "≤", ge: "≥", ne: "≠", yen: "¥", euro: "€", pound: "£", cent: "¢", sect: "§",
};

export const entity = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(\w{2,8}));/y;

// decode is the character of a match of entity, "" if there is none.
export function decode([, decimal, hex, name]) {
  if (name) return Object.hasOwn(named, name) ? named[name] : "";
  const code = decimal ? parseInt(decimal, 10) : parseInt(hex, 16);
  const valid = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return valid ? readable(String.fromCodePoint(code)) : "\ufffd"; // nothing hides behind its number
}

// unescape is a text without its backslashes and references.
export function unescape(text) {
  return text.replace(/\\([!-/:-@[-`{-~])/g, "$1").replace(new RegExp(entity, "g"), (...match) => decode(match) || match[0]);
}
