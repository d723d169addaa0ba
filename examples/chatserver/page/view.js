// One turn of the conversation on the page: the question, the answer as it
// arrives, and what it cost.

import { Markdown } from "./markdown.js";
import { Script, languageOf, cost, count, modelName, seconds } from "./format.js";
import { answerText, isRunning } from "./conversation.js";
import { language, words, translate } from "./strings.js";

const longestJSON = 20_000;
const longestGist = 80;

const clone = (id) => {
  const content = document.getElementById(id).content.cloneNode(true);
  translate(content);
  return content.firstElementChild;
};

export class TurnView {
  #turn;
  #script = new Script();
  #prose = null; // the text part that is being written: {element, markdown}
  #tools = new Map(); // tool use id → its card
  #actions;

  // The actions are {retry, edit, regenerate}, called with the turn.
  constructor(turn, number, actions) {
    this.#turn = turn;
    this.#actions = actions;
    this.element = clone("turn-template");
    const title = this.#find(".turn-title");
    title.id = `turn-${turn.id}`;
    title.textContent = words.questionTitle(number);
    this.element.setAttribute("aria-labelledby", title.id);
    const question = this.#find(".question");
    question.textContent = turn.question;
    question.lang = languageOf(turn.question);
    this.#find(".retry").addEventListener("click", () => this.#actions.retry(turn));
    this.#find(".edit").addEventListener("click", () => this.#actions.edit(turn));
    this.#find(".regenerate").addEventListener("click", () => this.#actions.regenerate(turn));
    this.#find(".copy").addEventListener("click", () => this.#copy());
    for (const part of turn.parts) {
      if (part.tool) this.tool(part.tool);
      else this.write(part.text);
    }
    this.update();
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }

  // write adds the next piece of text.
  write(piece) {
    if (!this.#prose) {
      const element = document.createElement("div");
      element.className = "prose";
      element.dir = "auto";
      this.#find(".parts").append(element);
      this.#prose = { element, markdown: new Markdown(element) };
    }
    this.#prose.markdown.write(piece);
    this.#script.write(piece);
    const spoken = this.#script.language;
    if (spoken !== "" && this.#find(".parts").lang !== spoken) this.#find(".parts").lang = spoken;
  }

  // tool shows a tool call, or what became of one that is shown already.
  tool(tool) {
    this.#endProse();
    let card = this.#tools.get(tool.id);
    if (!card) {
      card = clone("tool-template");
      card.lang = language;
      this.#find(".parts").append(card);
      this.#tools.set(tool.id, card);
    }
    const part = (name) => card.querySelector(`.tool-${name}`);
    const status = tool.status ?? (isRunning(this.#turn) ? "running" : "unfinished");
    const statusWord = { running: words.toolRunning, success: words.toolSuccess, error: words.toolError }[status];
    card.dataset.status = status;
    part("title").textContent = Object.hasOwn(words.tools, tool.name) ? words.tools[tool.name] : words.toolOther;
    part("name").textContent = tool.name;
    part("gist").textContent = gist(tool.input);
    part("status").textContent = statusWord ?? words.toolUnfinished;
    part("input").textContent = json(tool.input);
    part("input").ariaLabel = words.toolInput;
    part("result").textContent = tool.status ? json(tool.content) : "";
    part("result").ariaLabel = words.toolResult;
    part("result").hidden = part("result").previousElementSibling.hidden = !tool.status;
  }

  // update shows the state of the turn.
  update() {
    const turn = this.#turn;
    const running = isRunning(turn);
    const answering = running && turn.parts.at(-1)?.text !== undefined;
    if (!running) {
      this.#endProse();
      for (const { tool } of turn.parts) {
        if (tool && !tool.status) this.tool(tool);
      }
    }
    this.element.dataset.state = turn.state;
    this.#find(".answer").ariaBusy = String(running);
    this.#find(".waiting").hidden = !running || (answering && turn.state !== "stopping");
    this.#find(".waiting-text").textContent =
      { connecting: words.waitingForConnection, stopping: words.stopping }[turn.state] ?? words.thinking;
    this.#showFailure();
    this.#showColophon();
  }

  #endProse() {
    this.#prose?.markdown.end();
    this.#prose = null;
  }

  #showFailure() {
    const { error, state } = this.#turn;
    this.#find(".failure").hidden = state !== "failed";
    if (state !== "failed") return;
    const [title, advice] = errorWords(error);
    this.#find(".failure-title").textContent = title;
    this.#find(".failure-text").textContent = advice;
    this.#find(".retry").hidden = !error.retryable;
  }

  #showColophon() {
    const { state, result, forgotten } = this.#turn;
    const text = answerText(this.#turn);
    this.#find(".colophon").hidden = state !== "done";
    if (state !== "done") return;
    const notes = [];
    if (result.stop_reason === "cancelled") notes.push(words.stopped);
    else if (Object.hasOwn(words.stopReasons, result.stop_reason)) notes.push(words.stopReasons[result.stop_reason]);
    if (text === "" && result.stop_reason !== "cancelled") notes.push(words.empty);
    if (forgotten > 0) notes.push(words.forgotten(forgotten));
    this.#find(".outcome").textContent = notes.join(" ");
    this.#find(".outcome").hidden = notes.length === 0;
    this.#find(".facts").replaceChildren(...facts(result));
    this.#find(".copy").hidden = text === "";
  }

  async #copy() {
    const label = this.#find(".copy-text");
    try {
      await navigator.clipboard.writeText(answerText(this.#turn));
      label.textContent = words.copied;
    } catch {
      label.textContent = words.copyFailed;
    }
    this.#actions.announce(label.textContent);
    setTimeout(() => (label.textContent = words.copy), 2000);
  }
}

// errorWords is what happened and what to do about it. Of a refused question
// the server alone knows what is wrong with it.
export function errorWords({ code, message = "" }) {
  const [title, advice] = Object.hasOwn(words.errors, code) ? words.errors[code] : [words.errorOther, message];
  return code === "bad_request" ? [title, [message, advice].filter(Boolean).join(" ")] : [title, advice];
}

// facts is the list under an answer: model, tokens, cost and times.
function facts(result) {
  const list = [];
  const add = (name, value, title) => {
    const term = document.createElement("dt");
    const fact = document.createElement("dd");
    const group = document.createElement("div");
    term.textContent = name;
    fact.textContent = value;
    if (title) fact.title = title;
    group.append(term, fact);
    list.push(group);
    return fact;
  };
  const { usage, model, cost_usd: amount } = result;
  if (model) add(words.factModel, modelName(model), model);
  if (usage && !usage.unknown) {
    const tokens = (n) => words.tokens(count(n, language));
    add(words.factInput, tokens(usage.input_tokens));
    if (usage.cache_read_tokens > 0) add(words.factCacheRead, tokens(usage.cache_read_tokens));
    if (usage.cache_write_tokens > 0) add(words.factCacheWrite, tokens(usage.cache_write_tokens));
    add(words.factOutput, tokens(usage.output_tokens));
  } else {
    add(words.factInput, words.unknown);
    add(words.factOutput, words.unknown);
  }
  const known = typeof amount === "string" && Number.isFinite(Number(amount));
  const price = known ? add(words.factCost, cost(amount, language), words.exactly(amount)) : add(words.factCost, words.unknown);
  price.className = "cost";
  if (result.time_to_first_token_ms > 0) add(words.factFirst, seconds(result.time_to_first_token_ms, language));
  if (result.latency_ms > 0) add(words.factTotal, seconds(result.latency_ms, language));
  return list;
}

// gist is a tool's input in a few words, for the folded card.
function gist(input) {
  if (input === null || typeof input !== "object") return "";
  const text = Object.entries(input)
    .filter(([, value]) => ["string", "number"].includes(typeof value))
    .map(([name, value]) => (typeof value === "number" ? `${name.replaceAll("_", " ")} ${value}` : value))
    .join(" · ");
  return shorten(text, longestGist, "…");
}

function json(value) {
  const text = JSON.stringify(value, null, 2) ?? "";
  return shorten(text, longestJSON, `\n${words.shortened}`);
}

function shorten(text, length, end) {
  return text.length <= length ? text : text.slice(0, length).toWellFormed().replace(/\ufffd$/, "") + end;
}
