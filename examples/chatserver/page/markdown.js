// A renderer for the Markdown that models write, fed as the answer arrives.
//
// It reads CommonMark's paragraphs, headings, lists, block quotes, rules and fenced
// code, and GFM's tables, task lists, strikethrough and autolinks. There is no HTML,
// no code by indentation and no reference link: these stay text. Each line of text
// ends in a line break. It builds the DOM from elements and text nodes only, so an
// answer can bring no markup, load no image and run no script.
//
// A line joins the document as soon as its beginning says what it is. Only the block
// at the end is drawn again when more of it comes: one paragraph, one row of a table.

import { Code, Heading, Paragraph, Table } from "./markdown-leaf.js";
import { alignments, cells, maybeDelimiter } from "./markdown-table.js";

const quote = /^ *>/;
const rule = /^(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const maybeRule = /^(?:\*[* \t]*|-[- \t]*|_[_ \t]*)$/;
const underline = /^(?:=+|-+)[ \t]*$/;
const item = /^(?:([-+*•])|(\d{1,9})([.)]))(?=[ \t]|$)/;
const maybeItem = /^(?:[-+*•]|\d{1,9}[.)]?)[ \t]*$/;
const heading = /^(#{1,6})(?:[ \t]+|$)/;
const maybeHeading = /^#{1,6}[ \t]*$/;
const fence = /^(?:(`{3,}) *([^`\s]*)[^`]*|(~{3,}) *(\S*).*)$/;
const maybeFence = /^(?:`{1,2}|~{1,2}|`{3}[^`]*|`{4,}[^`]*|~{3}.*)$/;
const deepest = 24; // containers in each other

export class Markdown {
  #root;
  #hooks;
  #containers = []; // the open quotes and items, outermost first
  #leaf = null; // the open block that takes text
  #top = 6; // the level of the highest heading so far
  #line = ""; // the beginning of a line that does not say yet what it is
  #decided = false; // the line belongs to the leaf

  // The hooks add what needs words: code(block, language) to a block of code and
  // task(box, done) to the box of a task.
  constructor(root, hooks = {}) {
    this.#root = root;
    this.#hooks = hooks;
  }

  // write takes the next piece of the answer.
  write(piece) {
    const [first, ...lines] = piece.replaceAll("\r", "").split("\n");
    this.#take(first);
    for (const line of lines) {
      this.#endLine();
      this.#take(line);
    }
    this.#leaf?.show(true);
  }

  // end says that the answer is complete.
  end() {
    if (this.#line !== "" || this.#decided) this.#endLine();
    this.#close(0);
  }

  #take(piece) {
    if (this.#decided) {
      this.#leaf.add(piece);
    } else if (piece !== "") {
      this.#line += piece;
      this.#start(false);
    }
  }

  #endLine() {
    if (!this.#decided) this.#start(true);
    if (this.#decided) this.#leaf.endLine();
    this.#line = "";
    this.#decided = false;
  }

  // start finds what a line is: which open containers it goes on with, which it
  // opens, and the block that takes its text. Of a line that is not complete it may
  // not know yet; then it changes nothing.
  #start(complete) {
    const code = this.#leaf instanceof Code;
    let line = skip({ text: this.#line, column: 0 }, 0);
    let depth = 0;
    for (; depth < this.#containers.length; depth++) {
      const inside = this.#containers[depth].within(line);
      if (inside === null) break;
      line = inside;
    }
    const all = depth === this.#containers.length;
    if (code && all) return this.#codeLine(depth > 0 ? line.text : this.#line, complete);
    if (!complete && line.text.trim() === "") return;

    const goesOn = all && this.#leaf instanceof Paragraph;
    const opened = [];
    for (;;) {
      const block = this.#blockAt(line, complete, goesOn && opened.length === 0);
      if (block === null) return;
      if (!block.container || depth + opened.length >= deepest) {
        this.#use(block.container ? { kind: "text", text: line.text } : block, depth, opened);
        return;
      }
      opened.push(block);
      line = block.rest;
      if (!complete && line.text.trim() === "") return;
    }
  }

  #codeLine(text, complete) {
    if (this.#leaf.closes(text)) {
      if (!complete) return;
      this.#endLeaf();
      return;
    }
    if (!complete && this.#leaf.mayClose(text)) return;
    this.#decided = true;
    this.#leaf.add(this.#leaf.unindent(text));
  }

  // blockAt says what begins at the start of a text; null if that is open yet.
  #blockAt(line, complete, goesOn) {
    const indent = indentOf(line.text);
    const text = line.text.slice(indent);
    let found;
    if (text === "") return { kind: "blank" };
    if (quote.test(text)) return { container: "quote", rest: withinQuote(line) };
    if (goesOn && complete) {
      if (underline.test(text)) return { kind: "underline", level: text[0] === "=" ? 1 : 2 };
      const aligned = alignments(text);
      if (aligned && cells(this.#leaf.lastLine).length === aligned.length) return { kind: "table", aligned };
    }
    if (!complete) {
      if (maybeRule.test(text) || maybeItem.test(text) || maybeHeading.test(text) || maybeFence.test(text)) return null;
      if (goesOn && (underline.test(text) || maybeDelimiter.test(text))) return null;
    }
    if (rule.test(text)) return { kind: "rule" };
    if ((found = item.exec(text)) && !(goesOn && ((found[2] ?? "1") !== "1" || found[0] === text.trim()))) {
      const [marker, sign, number, end = sign] = found;
      const rest = skip(line, indent + marker.length);
      const space = indentOf(rest.text);
      const width = space > 4 || space === rest.text.length ? 1 : space;
      return { container: "item", rest: skip(rest, width), sign: end, number, indent: indent + marker.length + width };
    }
    if ((found = heading.exec(text))) return { kind: "heading", level: found[1].length, text: text.slice(found[0].length) };
    if ((found = fence.exec(text))) return { kind: "code", fence: found[1] ?? found[3], language: found[2] ?? found[4], indent };
    return { kind: "text", text };
  }

  // use puts a line in its place, after its first depth containers.
  #use(block, depth, opened) {
    if (block.kind === "text" && opened.length === 0 && this.#leaf instanceof Paragraph) {
      this.#add(block.text); // also if it left out the marks of its containers
      return;
    }
    if (block.kind === "blank" && opened.length === 0) {
      this.#close(depth); // a quote that it does not go on with
      const last = this.#containers.at(-1);
      if (last) last.over = !last.element.hasChildNodes(); // an item begins with one blank line at most
      return;
    }
    const row = block.kind === "text" && opened.length === 0 && depth === this.#containers.length && this.#leaf instanceof Table;
    if (row) {
      this.#add(block.text);
      return;
    }
    if (block.kind === "underline" || block.kind === "table") {
      this.#remake(block);
      return;
    }
    const list = opened[0]?.container === "item" ? this.#containers[depth]?.list : undefined;
    this.#close(depth);
    opened.forEach((container, i) => this.#enter(container, i === 0 ? list : undefined));
    this.#begin(block);
  }

  // begin opens the block of a line.
  #begin(block) {
    const parent = this.#containers.at(-1)?.element ?? this.#root;
    switch (block.kind) {
      case "rule":
        parent.append(document.createElement("hr"));
        break;
      case "heading":
        this.#top = Math.min(this.#top, block.level);
        this.#leaf = new Heading(parent, block.level > this.#top ? "h6" : "h5");
        this.#add(block.text);
        break;
      case "code":
        this.#leaf = new Code(parent, block, this.#hooks.code);
        break;
      case "text": {
        const task = this.#containers.at(-1)?.kind === "item" && !parent.hasChildNodes();
        this.#leaf = new Paragraph(parent, task ? this.#hooks.task ?? (() => {}) : null);
        this.#add(block.text);
      }
    }
  }

  #add(text) {
    this.#decided = true;
    this.#leaf.add(text);
  }

  // remake makes a heading or a table of the paragraph that came before its sign.
  #remake({ kind, level, aligned }) {
    const parent = this.#containers.at(-1)?.element ?? this.#root;
    const text = kind === "table" ? this.#leaf.takeLastLine() : this.#leaf.takeAll();
    this.#endLeaf();
    if (kind === "table") {
      this.#leaf = new Table(parent, cells(text), aligned);
      return;
    }
    this.#begin({ kind: "heading", level, text });
    this.#decided = false;
    this.#endLeaf();
  }

  #enter({ container, sign, number, indent }, list) {
    const parent = this.#containers.at(-1)?.element ?? this.#root;
    if (container === "quote") {
      const element = document.createElement("blockquote");
      parent.append(element);
      this.#containers.push({ kind: "quote", element, within: withinQuote });
      return;
    }
    if (list?.sign !== sign) {
      list = { sign, element: document.createElement(number === undefined ? "ul" : "ol") };
      if (number !== undefined && Number(number) !== 1) list.element.setAttribute("start", String(Number(number)));
      parent.append(list.element);
    }
    const element = document.createElement("li");
    list.element.append(element);
    this.#containers.push({ kind: "item", element, list, indent, within: withinItem });
  }

  #endLeaf() {
    this.#leaf?.show(false);
    this.#leaf = null;
  }

  // close ends the leaf and the containers deeper than depth.
  #close(depth) {
    this.#endLeaf();
    this.#containers.length = depth;
  }
}

// within… return a line after the mark of its container, or null if it does not go on
// with it.
function withinQuote(line) {
  const found = quote.exec(line.text);
  if (!found) return null;
  const rest = skip(line, found[0].length);
  return rest.text.startsWith(" ") ? skip(rest, 1) : rest;
}

function withinItem(line) {
  if (line.text.trim() === "") return line;
  return !this.over && indentOf(line.text) >= this.indent ? skip(line, this.indent) : null;
}

// skip leaves out the first n characters of a line, and turns the tabs before the
// text into spaces, up to the next stop.
function skip({ text, column }, n) {
  const [indent] = /^[ \t]*/.exec(text.slice(n));
  let spaces = "";
  for (const c of indent) spaces += c === "\t" ? " ".repeat(4 - ((column + n + spaces.length) % 4)) : c;
  return { text: spaces + text.slice(n + indent.length), column: column + n };
}

function indentOf(text) {
  return text.length - text.trimStart().length;
}
