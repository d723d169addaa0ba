// A document for Node that has what the page's Markdown renderer uses of the DOM.

class Node {
  parentNode = null;
  childNodes = [];

  get firstChild() {
    return this.childNodes[0] ?? null;
  }

  get lastChild() {
    return this.childNodes.at(-1) ?? null;
  }

  get nextSibling() {
    return this.parentNode?.childNodes[this.parentNode.childNodes.indexOf(this) + 1] ?? null;
  }

  hasChildNodes() {
    return this.childNodes.length > 0;
  }

  remove() {
    const siblings = this.parentNode?.childNodes;
    siblings?.splice(siblings.indexOf(this), 1);
    this.parentNode = null;
  }

  #insert(at, nodes) {
    nodes = nodes.map((node) => (typeof node === "string" ? new Text(node) : node));
    for (const node of nodes) {
      const before = node.parentNode === this && this.childNodes.indexOf(node) < at;
      node.remove();
      if (before) at--;
      this.childNodes.splice(at++, 0, node);
      node.parentNode = this;
    }
  }

  append(...nodes) {
    this.#insert(this.childNodes.length, nodes);
  }

  after(...nodes) {
    const { parentNode } = this;
    parentNode.#insert(parentNode.childNodes.indexOf(this) + 1, nodes);
  }

  replaceWith(...nodes) {
    this.after(...nodes);
    this.remove();
  }

  normalize() {
    const kept = [];
    for (const node of this.childNodes) {
      if (node.nodeType !== 3) node.normalize();
      if (node.nodeType === 3 && kept.at(-1)?.nodeType === 3) kept.at(-1).data += node.data;
      else if (node.data !== "") kept.push(node);
    }
    this.childNodes = kept;
  }

  isEqualNode(other) {
    return serialize(this) === serialize(other);
  }

  get textContent() {
    return this.data ?? this.childNodes.map((node) => node.textContent).join("");
  }
}

class Text extends Node {
  nodeType = 3;

  constructor(data) {
    super();
    this.data = data;
  }

  appendData(data) {
    this.data += data;
  }
}

class Element extends Node {
  nodeType = 1;
  attributes = new Map();

  constructor(name) {
    super();
    this.name = name;
  }

  setAttribute(name, value) {
    this.attributes.set(name, value);
  }

  get className() {
    return this.attributes.get("class") ?? "";
  }

  set className(value) {
    this.attributes.set("class", value);
  }

  set textContent(text) {
    for (const node of [...this.childNodes]) node.remove();
    this.append(text);
  }

  get textContent() {
    return super.textContent;
  }

  cloneNode() {
    const clone = new Element(this.name);
    for (const [name, value] of this.attributes) clone.setAttribute(name, value);
    return clone;
  }
}

export const document = {
  createElement: (name) => new Element(name),
  createTextNode: (text) => new Text(text),
};

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

// serialize writes a node as HTML; children alone writes what is in it.
export function serialize(node) {
  if (node.nodeType === 3) return escape(node.data);
  const attributes = [...node.attributes].map(([name, value]) => ` ${name}="${escape(value)}"`).join("");
  const end = ["br", "hr", "input"].includes(node.name) ? "" : `${children(node)}</${node.name}>`;
  return `<${node.name}${attributes}>${end}`;
}

export const children = (node) => node.childNodes.map(serialize).join("");
