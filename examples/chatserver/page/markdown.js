// A renderer for the Markdown that models write, fed as the answer arrives.
//
// It understands paragraphs, headings, lists, rules, fenced code, bold,
// italics, inline code and https links. Each character is looked at once: a
// mark opens its element at once, and an element whose mark is never closed is
// unwrapped into the text that it was. Everything else is text. It builds the
// DOM from elements and text nodes only, so no answer can bring markup, load an
// image or run a script.

const item = /^([ \t]*)(?:[-*+•]|(\d{1,4})[.)])[ \t]$/;
const heading = /^#{1,6}[ \t]$/;
const fence = /^ {0,3}```$/;
const rule = /^ {0,3}(?:-{3,}|\*{3,})[ \t]*$/;
const undecided = /^[ \t]*(?:[•+]|-+|\*+|\d{1,4}[.)]?|#{1,6}|`{1,2})?$/;
const longestPrefix = 40;
const deepestList = 6;
const longestLabel = 300;
const longestURL = 2000;

const isSpace = (c) => c === "" || /\s/.test(c);

export class Markdown {
  #root;
  #mode = "start"; // start | inline | info (the rest of a fence's first line) | code
  #prefix = ""; // the start of a line, until it tells what the line is
  #blank = false; // a blank line came before this one
  #block = null; // the element that takes inline content
  #lists = []; // open lists, outermost first: {element, item, indent, ordered}
  #open = []; // open emphasis: {mark, element}
  #stars = 0; // asterisks that wait for the character after them
  #beforeStars = "";
  #code = null; // the open inline code, or the open code block
  #link = ""; // a link that is not complete yet, from its "["
  #linkState = "";
  #escaped = false;
  #last = ""; // the character before
  #text = ""; // text not yet in the document

  constructor(root) {
    this.#root = root;
  }

  // write takes the next piece of the answer.
  write(piece) {
    for (const c of piece) {
      if (c !== "\r") this.#character(c);
    }
    this.#flush();
  }

  // end says that the answer is complete: what is still undecided is text.
  end() {
    if (this.#mode === "start" && this.#prefix.trim() !== "") this.#line();
    if (this.#mode === "code" && this.#prefix.trim() !== "```") this.#text += this.#prefix;
    this.#endBlock();
    this.#mode = "start";
    this.#prefix = "";
    this.#lists = [];
  }

  #character(c) {
    switch (this.#mode) {
      case "start":
        this.#start(c);
        break;
      case "inline":
        if (c === "\n") this.#endLine();
        else this.#inline(c);
        break;
      case "info":
        if (c === "\n") this.#mode = "code";
        break;
      case "code":
        this.#fenced(c);
        break;
    }
  }

  // Blocks.

  #start(c) {
    if (c === "\n") {
      this.#line();
      return;
    }
    this.#prefix += c;
    const prefix = this.#prefix;
    let match;
    if ((match = item.exec(prefix))) {
      this.#openItem(width(match[1]), match[2]);
    } else if (heading.test(prefix)) {
      this.#endBlock();
      this.#lists = [];
      this.#openBlock(prefix.length === 2 ? "h5" : "h6");
    } else if (fence.test(prefix)) {
      this.#endBlock();
      const pre = document.createElement("pre");
      pre.tabIndex = 0; // it scrolls, so the keyboard must reach it
      this.#code = document.createElement("code");
      pre.append(this.#code);
      this.#parent().append(pre);
      this.#mode = "info";
      this.#prefix = "";
    } else if (!undecided.test(prefix) || prefix.length > longestPrefix) {
      this.#openText();
    }
  }

  // line ends a line that was no more than a prefix.
  #line() {
    const prefix = this.#prefix;
    this.#prefix = "";
    if (prefix.trim() === "") {
      this.#endBlock();
      this.#blank = true;
    } else if (rule.test(prefix)) {
      this.#endBlock();
      this.#lists = [];
      this.#root.append(document.createElement("hr"));
    } else {
      this.#prefix = prefix;
      this.#openText();
      this.#endLine();
    }
  }

  // openText turns a prefix into text: the next line of the open paragraph, or
  // a new one.
  #openText() {
    const prefix = this.#prefix;
    const text = prefix.trimStart();
    if (this.#block) {
      this.#target().append(document.createElement("br"));
      this.#mode = "inline";
      this.#prefix = "";
      this.#last = "";
    } else {
      if (width(prefix.slice(0, prefix.length - text.length)) < 2) this.#lists = [];
      this.#openBlock("p");
    }
    for (const c of text) this.#inline(c);
  }

  #openBlock(name) {
    this.#block = document.createElement(name);
    this.#parent().append(this.#block);
    this.#begin();
  }

  #openItem(indent, number) {
    this.#endBlock();
    const ordered = number !== undefined;
    while (this.#lists.length > 0 && indent < this.#lists.at(-1).indent) this.#lists.pop();
    let list = this.#lists.at(-1);
    const nested = list && indent >= list.indent + 2 && this.#lists.length < deepestList;
    if (list && !nested && list.ordered !== ordered) {
      this.#lists.pop();
      list = undefined;
    }
    if (!list || nested) {
      list = { element: document.createElement(ordered ? "ol" : "ul"), item: null, indent, ordered };
      if (ordered && number !== "1") list.element.start = Number(number);
      this.#parent().append(list.element);
      this.#lists.push(list);
    }
    list.item = document.createElement("li");
    list.element.append(list.item);
    this.#block = list.item;
    this.#begin();
  }

  #begin() {
    this.#mode = "inline";
    this.#prefix = "";
    this.#blank = false;
    this.#last = "";
  }

  #parent() {
    return this.#lists.at(-1)?.item ?? this.#root;
  }

  #endLine() {
    this.#failLink();
    if (this.#code) {
      this.#unwrap("`", this.#code);
      this.#code = null;
    }
    this.#resolveStars("");
    this.#escaped = false;
    this.#flush();
    this.#mode = "start";
    this.#prefix = "";
    if (this.#block && /^H[56]$/.test(this.#block.tagName)) this.#endBlock();
  }

  #endBlock() {
    if (this.#mode === "inline") this.#endLine();
    this.#flush();
    while (this.#open.length > 0) this.#giveUp();
    this.#block = null;
    this.#code = null;
  }

  // fenced collects a code block line by line, to see the fence that ends it.
  #fenced(c) {
    if (c !== "\n") {
      this.#prefix += c;
      if (this.#prefix.length > longestPrefix) this.#text += this.#take();
      return;
    }
    if (this.#prefix.trim() === "```") {
      this.#flush();
      this.#code = null;
      this.#mode = "start";
      this.#prefix = "";
    } else {
      this.#text += this.#take() + "\n";
    }
  }

  #take() {
    const prefix = this.#prefix;
    this.#prefix = "";
    return prefix;
  }

  // Inline content.

  #inline(c) {
    if (this.#link !== "") {
      this.#inLink(c);
    } else if (this.#code) {
      if (c === "`") this.#closeCode();
      else this.#text += c;
    } else if (this.#escaped) {
      this.#escaped = false;
      this.#put(/[!-/:-@[-`{-~]/.test(c) ? c : "\\" + c);
    } else if (c === "*") {
      if (this.#stars++ === 0) this.#beforeStars = this.#last;
    } else {
      this.#resolveStars(c);
      if (c === "\\") {
        this.#escaped = true;
      } else if (c === "`") {
        this.#flush();
        const code = document.createElement("code");
        this.#target().append(code);
        this.#code = code;
      } else if (c === "[") {
        this.#link = c;
        this.#linkState = "label";
      } else {
        this.#put(c);
      }
    }
  }

  #put(text) {
    this.#text += text;
    this.#last = text.at(-1) ?? "";
  }

  #target() {
    return this.#open.at(-1)?.element ?? this.#block;
  }

  #flush() {
    if (this.#text === "") return;
    const target = this.#code ?? this.#target();
    const end = target.lastChild;
    if (end instanceof Text) end.appendData(this.#text);
    else target.append(this.#text);
    this.#text = "";
  }

  #closeCode() {
    this.#flush();
    const code = this.#code;
    this.#code = null;
    if (!code.hasChildNodes()) {
      code.remove();
      this.#put("``");
    }
    this.#last = "`";
  }

  // resolveStars decides what a run of asterisks means, once the character
  // after it is known. Whether they stand inside a word does not matter, since
  // Japanese puts no spaces between words.
  #resolveStars(next) {
    let n = this.#stars;
    if (n === 0) return;
    this.#stars = 0;
    if (n > 3) {
      this.#put("*".repeat(n));
      return;
    }
    this.#flush();
    const closes = !isSpace(this.#beforeStars);
    const opens = !isSpace(next);
    while (n > 0) {
      const at = closes ? this.#open.findLastIndex(({ mark }) => n === 3 || mark.length === n) : -1;
      if (at >= 0) {
        while (this.#open.length > at + 1) this.#giveUp();
        n -= this.#open.pop().mark.length;
      } else if (opens) {
        const mark = n >= 2 ? "**" : "*";
        const element = document.createElement(mark === "**" ? "strong" : "em");
        this.#target().append(element);
        this.#open.push({ mark, element });
        n -= mark.length;
      } else {
        this.#put("*".repeat(n));
        n = 0;
      }
    }
    this.#last = "*";
  }

  // giveUp turns the innermost emphasis back into text.
  #giveUp() {
    this.#flush();
    const { mark, element } = this.#open.pop();
    this.#unwrap(mark, element);
  }

  #unwrap(mark, element) {
    if (element === this.#code) this.#flush();
    element.before(mark);
    while (element.firstChild) element.before(element.firstChild);
    element.remove();
  }

  #inLink(c) {
    const state = this.#linkState;
    const closing = state === "label" ? "]" : state === "between" ? "(" : ")";
    const tooLong = this.#link.length > (state === "url" ? longestLabel + longestURL : longestLabel);
    if (c === "[" || tooLong || (state === "between" && c !== closing) || (state === "url" && isSpace(c))) {
      this.#failLink();
      this.#inline(c);
      return;
    }
    this.#link += c;
    if (c !== closing) return;
    if (state === "label") this.#linkState = "between";
    else if (state === "between") this.#linkState = "url";
    else this.#closeLink();
  }

  // failLink makes text of what only looked like a link.
  #failLink() {
    const text = this.#link;
    if (text === "") return;
    this.#link = "";
    this.#put("[");
    for (const c of text.slice(1)) this.#inline(c);
  }

  #closeLink() {
    const end = this.#link.indexOf("](");
    const label = this.#link.slice(1, end);
    const url = URL.canParse(this.#link.slice(end + 2, -1)) ? new URL(this.#link.slice(end + 2, -1)) : null;
    if (label === "" || url?.protocol !== "https:" || url.username !== "" || url.password !== "") {
      const text = this.#link;
      this.#link = "";
      this.#put(text);
      return;
    }
    this.#link = "";
    this.#flush();
    const link = document.createElement("a");
    link.href = url.href;
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
    link.textContent = label.replaceAll(/\*\*|`/g, "");
    const host = document.createElement("span"); // says where a link goes, whatever its label claims
    host.className = "host";
    host.textContent = ` (${url.host})`;
    link.append(host);
    this.#target().append(link);
    this.#last = ")";
  }
}

function width(indent) {
  let n = 0;
  for (const c of indent) n += c === "\t" ? 4 : 1;
  return n;
}
