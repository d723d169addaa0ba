// The inline content of Markdown: emphasis, code, links, line breaks.
//
// It follows CommonMark with GFM's strikethrough and autolinks. Two things differ:
// a mark may touch a letter of an East Asian script, because Japanese puts no spaces
// between words, and a link goes to http, https or mailto or it is text. An image is
// a link: nothing is loaded.

import { decode, entity, unescape } from "./markdown-entity.js";
import { allowed, angled, bare, goesTo, linkTo, target, trimAddress, unlink } from "./markdown-link.js";

const punctuation = /[\p{P}\p{S}]/u;
const eastAsian = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\u3001-\u303f\uff01-\uffee]/u;
const space = /\s/;

const plain = /[^\\`*_~[\]!<&\nhw]+/iy;
const deepest = 20; // emphasis in emphasis
const escapable = /^[!-/:-@[-`{-~]$/;
const ticks = /`+/y;
const blanks = /[ \t]*/y;
const run = /([*_~])\1*/y;
const lineBreak = /<br *\/?>/iy;

// inline returns the nodes of a text. While the text is open, more may follow: a mark
// that is not closed yet counts as closed at the end.
export function inline(text, open = false) {
  const parser = new Inline(open ? withoutTail(text) : text, open);
  return parser.parse();
}

// settled returns the nodes of a text before a space, if nothing that follows can change
// them; else null.
export function settled(text) {
  if (/<[^>]*$|\]\([^)]*$|\\$/.test(text)) return null;
  const parser = new Inline(text, false);
  const nodes = parser.parse();
  return parser.waits() ? null : nodes;
}

// withoutTail leaves out what tells only with the next character what it is.
function withoutTail(text) {
  return text.replace(/!?\[([^[\]\n]*)\]\([^()\s]*$/, "$1").replace(/[*_~`\\[!]+$/, "");
}

class Inline {
  #text;
  #open;
  #at = 0;
  #root = document.createElement("div");
  #marks = []; // runs of * _ ~ that wait for their partner, in order: {node, char, opens, closes, length}
  #brackets = []; // open brackets: {node, image, active, marks, links}
  #links = []; // every link so far
  #depths = new Map(); // of emphasis: an element → how deep it goes
  #noTicks = new Set(); // the lengths of runs of backquotes that do not come any more

  constructor(text, open) {
    this.#text = text;
    this.#open = open;
  }

  parse() {
    while (this.#at < this.#text.length) this.#next();
    this.#emphasize(0);
    if (this.#open) this.#closeAll();
    this.#root.normalize();
    return this.#root.childNodes;
  }

  // waits says if something was opened that may still be closed.
  waits() {
    return this.#noTicks.size > 0 || this.#brackets.some(({ active }) => active) || this.#marks.some(({ node, opens }) => opens && node.data !== "");
  }

  #next() {
    switch (this.#text[this.#at]) {
      case "\\": return this.#escape();
      case "`": return this.#code();
      case "*": case "_": case "~": return this.#mark();
      case "!": return this.#text[this.#at + 1] === "[" ? this.#bracket("![") : this.#put("!");
      case "[": return this.#bracket("[");
      case "]": return this.#endBracket();
      case "<": return this.#angle();
      case "&": return this.#entity();
      case "\n": return this.#break(1);
      case "h": case "H": case "w": case "W": return this.#bare();
    }
    this.#put(this.#match(plain)[0]);
  }

  // match matches a sticky expression here.
  #match(expression) {
    expression.lastIndex = this.#at;
    return expression.exec(this.#text);
  }

  // put takes a piece of the source as text, or as another text.
  #put(source, text = source) {
    this.#at += source.length;
    const node = document.createTextNode(text);
    this.#root.append(node);
    return node;
  }

  #escape() {
    const next = this.#text[this.#at + 1] ?? "";
    if (next === "\n") this.#break(2);
    else if (escapable.test(next)) this.#put("\\" + next, next);
    else this.#put("\\");
  }

  #break(length) {
    this.#at += length;
    const before = this.#root.lastChild;
    if (before?.nodeType === 3) before.data = before.data.trimEnd();
    this.#root.append(document.createElement("br"));
    this.#at += this.#match(blanks)[0].length;
  }

  #code() {
    const [fence] = this.#match(ticks);
    const from = this.#at + fence.length;
    const end = this.#findTicks(fence.length, from);
    if (end < 0 && !(this.#open && fence.length < 3)) return this.#put(fence);
    let content = this.#text.slice(from, end < 0 ? undefined : end).replaceAll("\n", " ");
    if (/^ .*[^ ].* $/.test(content)) content = content.slice(1, -1);
    const code = document.createElement("code");
    code.textContent = content;
    this.#root.append(code);
    this.#at = end < 0 ? this.#text.length : end + fence.length;
  }

  // findTicks finds a run of just so many backquotes.
  #findTicks(length, from) {
    if (this.#noTicks.has(length)) return -1;
    for (const found of this.#text.slice(from).matchAll(/`+/g)) {
      if (found[0].length === length) return from + found.index;
    }
    this.#noTicks.add(length);
    return -1;
  }

  #angle() {
    const line = this.#match(lineBreak);
    if (line) {
      this.#at += line[0].length;
      this.#root.append(document.createElement("br"));
      return;
    }
    const found = this.#match(angled);
    const url = found && goesTo(found[1]);
    if (!url) return this.#put("<");
    this.#at += found[0].length;
    this.#link(url, [document.createTextNode(found[1])]);
  }

  #entity() {
    const found = this.#match(entity);
    const text = found && decode(found);
    if (text) this.#put(found[0], text);
    else this.#put("&");
  }

  // bare makes a link of an address that stands alone.
  #bare() {
    const before = this.#text[this.#at - 1] ?? " ";
    const found = /[\s*_~(]|[^\x00-\x7f]/.test(before) && this.#match(bare);
    const address = found ? trimAddress(found[0]) : "";
    const url = address.includes(".") && goesTo(address);
    if (!url || this.#text[this.#at + address.length] === "@") return this.#put(this.#text[this.#at]);
    this.#at += address.length;
    this.#link(url, [document.createTextNode(address)]);
  }

  #link(url, label) {
    const link = linkTo(url, label);
    this.#root.append(link);
    this.#links.push(link);
  }

  // Brackets.

  #bracket(source) {
    const node = this.#put(source);
    this.#brackets.push({ node, image: source === "![", active: true, marks: this.#marks.length, links: this.#links.length });
  }

  #endBracket() {
    const bracket = this.#brackets.pop();
    const node = this.#put("]");
    if (!bracket?.active) return;
    const found = this.#match(target);
    const url = found && allowed(unescape(found[1] ?? found[2]));
    const empty = bracket.node.nextSibling === node;
    if (!url || (empty && !bracket.image)) return;
    this.#at += found[0].length;
    node.remove();
    this.#emphasize(bracket.marks);
    this.#marks.length = bracket.marks;
    for (const link of this.#links.splice(bracket.links)) unlink(link);
    const label = [];
    for (let next = bracket.node.nextSibling; next; next = next.nextSibling) label.push(next);
    bracket.node.remove();
    this.#link(url, empty ? [document.createTextNode(url.href)] : label);
    if (!bracket.image) for (const outer of this.#brackets) outer.active &&= outer.image; // no link in a link
  }

  // Emphasis, as in CommonMark's "process emphasis".

  #mark() {
    const [source, char] = this.#match(run);
    const before = [...this.#text.slice(Math.max(0, this.#at - 2), this.#at)].at(-1) ?? " ";
    const after = String.fromCodePoint(this.#text.codePointAt(this.#at + source.length) ?? 32);
    const node = this.#put(source);
    if (char === "~" && source.length > 2) return;
    const [spaceBefore, spaceAfter] = [space.test(before), space.test(after)];
    const marksOff = (c) => punctuation.test(c) && !eastAsian.test(c);
    const left = !spaceAfter && (!marksOff(after) || spaceBefore || punctuation.test(before) || eastAsian.test(before));
    const right = !spaceBefore && (!marksOff(before) || spaceAfter || punctuation.test(after) || eastAsian.test(after));
    const opens = left && (char !== "_" || !right || punctuation.test(before));
    const closes = right && (char !== "_" || !left || punctuation.test(after));
    this.#marks.push({ node, char, opens, closes, length: source.length });
  }

  // emphasize joins the marks from the given one on.
  #emphasize(from) {
    const bottom = new Map(); // kind of closer → no opener for it below
    for (let i = from; i < this.#marks.length; i++) {
      const closer = this.#marks[i];
      while (closer.closes && closer.node.data !== "") {
        const kind = `${closer.char}${closer.opens}${closer.length % 3}${closer.char === "~" ? closer.length : ""}`;
        const lowest = bottom.get(kind) ?? from;
        let j = i - 1;
        while (j >= lowest && !fit(this.#marks[j], closer)) j--;
        if (j < lowest || !this.#wrap(this.#marks[j], closer)) {
          bottom.set(kind, i);
          break;
        }
        const keep = this.#marks[j].node.data === "" ? j : j + 1;
        this.#marks.splice(keep, i - keep); // what lies between stays text
        i = keep;
        for (const [key, value] of bottom) bottom.set(key, Math.min(value, keep));
      }
    }
  }

  // wrap makes what is between two marks an element, unless it gets too deep.
  #wrap(opener, closer) {
    const width = opener.char === "~" ? closer.node.data.length : Math.min(2, opener.node.data.length, closer.node.data.length);
    const element = document.createElement(opener.char === "~" ? "del" : width === 2 ? "strong" : "em");
    const content = [];
    let depth = 1;
    for (let next = opener.node.nextSibling; next !== closer.node; next = next.nextSibling) {
      content.push(next);
      depth = Math.max(depth, 1 + (this.#depths.get(next) ?? 0));
    }
    if (depth > deepest) return false;
    this.#depths.set(element, depth);
    opener.node.data = opener.node.data.slice(width);
    closer.node.data = closer.node.data.slice(width);
    element.append(...content);
    opener.node.after(element);
    return true;
  }

  // closeAll closes at the end what is still open.
  #closeAll() {
    for (const opener of this.#marks.slice(-deepest).reverse()) {
      if (!opener.opens || opener.node.data.length > 3) continue;
      const end = document.createTextNode(opener.node.data);
      this.#root.append(end);
      while (end.data !== "" && this.#wrap(opener, { node: end }));
      end.remove();
    }
  }
}

// fit says if two marks belong together (CommonMark's "multiple of 3" rule).
function fit(opener, closer) {
  if (!opener.opens || opener.char !== closer.char || opener.node.data === "") return false;
  if (opener.char === "~") return opener.length === closer.length;
  return !(opener.closes || closer.opens) || (opener.length + closer.length) % 3 !== 0 || (opener.length % 3 === 0 && closer.length % 3 === 0);
}
