// The blocks of Markdown that hold text: each takes its lines as they come and draws
// itself in the document. show(true) draws what is there, show(false) the whole.

import { inline, settled } from "./markdown-inline.js";
import { cells } from "./markdown-table.js";
import { patch } from "./patch.js";

const task = /^\[([ xX])\][ \t]+(?=\S)/;
const short = 512; // characters of a paragraph that are drawn again with each piece
const long = 4096; // if they do not settle: as many

class Leaf {
  text = "";

  constructor(parent, name) {
    this.element = document.createElement(name);
    parent.append(this.element);
  }

  add(text) {
    this.text += text;
  }

  endLine() {
    this.text += "\n";
  }
}

// A Paragraph draws its end again as it grows. What nothing can change any more stays.
export class Paragraph extends Leaf {
  #task;
  #settled = 0; // characters whose nodes stay
  #kept = 0; // these nodes
  #next = short; // the characters after them that may settle next

  // task is called with the box of a paragraph that is a task; null if it cannot be one.
  constructor(parent, task) {
    super(parent, "p");
    this.#task = task;
  }

  get lastLine() {
    return this.text.trimEnd().split("\n").at(-1);
  }

  // takeLastLine and takeAll give text back that is no paragraph after all.
  takeLastLine() {
    const line = this.lastLine;
    this.text = this.text.trimEnd().slice(0, -line.length).trimEnd();
    this.#settled = this.#kept = 0;
    this.#next = short;
    return line;
  }

  takeAll() {
    const { text } = this;
    this.text = "";
    return text;
  }

  show(open) {
    if (this.text === "") return this.element.remove();
    const found = this.#settled === 0 && this.#task && task.exec(this.text);
    if (found) this.#keep([this.#box(found[1] !== " "), document.createTextNode(" ")], found[0].length);
    while (this.#settle());
    patch(this.element, inline(this.text.slice(this.#settled).trimEnd(), open), this.#kept);
    if (!open) this.element.normalize();
  }

  // settle keeps the nodes of the next characters, up to a space. Where it looks does
  // not depend on the pieces in which the text came.
  #settle() {
    const rest = this.text.slice(this.#settled, this.#settled + this.#next + 1);
    if (rest.length <= this.#next) return false;
    const piece = rest.replace(/\s\S*$/, "").trimEnd();
    const nodes = piece !== "" && piece !== rest && settled(piece);
    if (nodes) this.#keep(nodes, piece.length);
    else if (this.#next === long) this.#keep(inline(piece || rest), (piece || rest).length);
    else this.#next *= 2;
    return true;
  }

  #keep(nodes, length) {
    patch(this.element, nodes, this.#kept);
    this.#kept = this.element.childNodes.length;
    this.#settled += length;
    this.#next = short;
  }

  #box(done) {
    const box = document.createElement("input");
    box.setAttribute("type", "checkbox");
    box.setAttribute("disabled", "");
    if (done) box.setAttribute("checked", "");
    this.#task(box, done);
    return box;
  }
}

export class Heading extends Leaf {
  show(open) {
    patch(this.element, inline(this.text.trim().replace(/(?:^|[ \t])#+$/, "").trim(), open));
  }
}

// Code is a fenced block. Its text is never drawn twice.
export class Code {
  #fence;
  #indent;
  #code;

  constructor(parent, { fence, language, indent }, hook = () => {}) {
    this.#fence = fence;
    this.#indent = indent;
    const block = document.createElement("div");
    block.className = "code";
    const pre = document.createElement("pre");
    pre.setAttribute("tabindex", "0"); // it scrolls, so the keyboard must reach it
    this.#code = document.createElement("code");
    pre.append(this.#code);
    block.append(pre);
    parent.append(block);
    hook(block, language);
  }

  closes(line) {
    const text = line.trim();
    return !line.startsWith("    ") && text.length >= this.#fence.length && text === this.#fence[0].repeat(text.length);
  }

  mayClose(line) {
    const text = line.trim();
    return text === this.#fence[0].repeat(text.length);
  }

  unindent(line) {
    const indent = line.length - line.trimStart().length;
    return line.slice(Math.min(indent, this.#indent));
  }

  add(text) {
    if (text === "") return;
    if (this.#code.lastChild) this.#code.lastChild.appendData(text);
    else this.#code.append(text);
  }

  endLine() {
    this.add("\n");
  }

  show() {}
}

// Table draws each row once it is complete, and the last one again as it grows.
export class Table {
  #aligned;
  #body = null;
  #table = document.createElement("table");
  #row = null;
  #text = "";

  constructor(parent, header, aligned) {
    this.#aligned = aligned;
    const box = document.createElement("div"); // a wide table scrolls in it
    box.className = "table";
    box.setAttribute("tabindex", "0");
    const head = document.createElement("thead");
    const row = document.createElement("tr");
    this.#fill(row, header, "th", false);
    head.append(row);
    this.#table.append(head);
    box.append(this.#table);
    parent.append(box);
  }

  add(text) {
    this.#text += text;
  }

  endLine() {
    this.show(false);
    this.#row = null;
    this.#text = "";
  }

  show(open) {
    if (this.#text === "") return;
    if (!this.#body) {
      this.#body = document.createElement("tbody");
      this.#table.append(this.#body);
    }
    if (!this.#row) {
      this.#row = document.createElement("tr");
      this.#body.append(this.#row);
    }
    this.#fill(this.#row, cells(this.#text), "td", open);
  }

  // fill gives a row as many cells as the table has columns.
  #fill(row, texts, name, open) {
    patch(row, this.#aligned.map((align, i) => {
      const cell = document.createElement(name);
      if (align) cell.setAttribute("data-align", align);
      if (name === "th") cell.setAttribute("scope", "col");
      cell.append(...inline(texts[i] ?? "", open && i === texts.length - 1));
      return cell;
    }));
  }
}
