// The result of an analysis as a list of what was found, whatever it has.

import { words } from "./pages-strings.js";

const deepest = 5; // objects within each other; what is below is shown as JSON

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// finding is the element of a value.
export function finding(value, depth = 0) {
  if (value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) {
    return element("span", "", words().empty);
  }
  if (typeof value === "boolean") return element("span", "", value ? words().yes : words().no);
  if (typeof value !== "object") return element("span", "", String(value));
  if (depth === deepest) return element("code", "", JSON.stringify(value));
  if (Array.isArray(value)) {
    if (value.every((entry) => typeof entry !== "object" || entry === null)) {
      return element("ul", "tags", ...value.map((entry) => element("li", "", String(entry))));
    }
    return element("ul", "pairs", ...value.map((entry) => element("li", "", pair(entry) ?? finding(entry, depth + 1))));
  }
  return element("dl", "", ...Object.entries(value).flatMap(([name, part]) => {
    const { fields } = words();
    const text = element("dd", "", finding(part, depth + 1));
    if (name.endsWith("_ja")) text.lang = "ja";
    if (name.endsWith("_en")) text.lang = "en";
    return [element("dt", "", Object.hasOwn(fields, name) ? fields[name] : name.replaceAll("_", " ")), text];
  }));
}

// pair is a title and why, in a line.
function pair(entry) {
  if (typeof entry?.title !== "string" || typeof entry.reason !== "string" || Object.keys(entry).length !== 2) return null;
  return element("span", "", element("b", "", entry.title), ` – ${entry.reason}`);
}
