// One turn of the conversation on the page: the question, the answer as it
// arrives, and what it cost.

import { QuestionView } from "./question.js";
import { readable } from "./readable.js";
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
  #question;

  // The actions are retry(turn), resend(turn, question), goOn(turn), after(turn), which
  // is how many turns follow, and announce(text).
  constructor(turn, number, actions) {
    this.#turn = turn;
    this.#actions = actions;
    this.element = clone("turn-template");
    const title = this.#find(".turn-title");
    title.id = `turn-${turn.id}`;
    title.textContent = words.questionTitle(number);
    this.element.setAttribute("aria-labelledby", title.id);
    this.#question = new QuestionView(this.#find(".question"), turn, actions);
    for (const again of this.element.querySelectorAll(".retry, .regenerate")) again.addEventListener("click", () => actions.retry(turn));
    this.#find(".reword").addEventListener("click", () => this.#question.edit());
    this.#find(".go-on").addEventListener("click", () => actions.goOn(turn));
    this.#find(".copy").addEventListener("click", () => this.#copy(answerText(turn), this.#find(".answer-actions .copy-text")));
    for (const part of turn.parts) {
      if (part.tool) this.tool(part.tool);
      else this.write(part.text);
    }
    this.update();
  }

  get turn() {
    return this.#turn;
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
      this.#prose = { element, markdown: new Markdown(element, { code: (block, language) => this.#label(block, language), task: labelTask }) };
      this.#showWaiting();
    }
    this.#prose.markdown.write(readable(piece));
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
    if (!running) {
      this.#endProse();
      for (const { tool } of turn.parts) {
        if (tool && !tool.status) this.tool(tool);
      }
    }
    this.element.dataset.state = turn.state;
    this.#question.allow(!running);
    this.#find(".answer").ariaBusy = String(running);
    this.#showWaiting();
    this.#showFailure();
    this.#showColophon();
  }

  // showWaiting says what one waits for, unless text arrives.
  #showWaiting() {
    const { state } = this.#turn;
    this.#find(".waiting").hidden = !isRunning(this.#turn) || (this.#prose !== null && state === "streaming");
    this.#find(".waiting-text").textContent =
      { connecting: words.waitingForConnection, stopping: words.stopping }[state] ?? words.thinking;
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
    this.#find(".reason").textContent = this.#turn.reason ?? "";
    this.#find(".reason").lang = languageOf(this.#turn.reason ?? "");
    this.#find(".reason").hidden = !this.#turn.reason;
    this.#find(".copy").hidden = text === "";
    this.#find(".go-on").hidden = result.stop_reason !== "max_tokens" || text === "";
  }

  // label puts the language and a button to copy it above a block of code.
  #label(block, language) {
    const head = clone("code-template");
    head.lang = document.documentElement.lang;
    head.querySelector(".code-language").textContent = language;
    const button = head.querySelector("button");
    button.addEventListener("click", () => this.#copy(block.querySelector("code").textContent, button.querySelector(".copy-text")));
    block.prepend(head);
  }

  async #copy(text, label) {
    try {
      await navigator.clipboard.writeText(text);
      label.textContent = words.copied;
    } catch {
      label.textContent = words.copyFailed;
    }
    this.#actions.announce(label.textContent);
    setTimeout(() => (label.textContent = words.copy), 2000);
  }
}

function labelTask(box, done) {
  box.setAttribute("aria-label", done ? words.taskDone : words.taskOpen);
}

// errorWords is what happened and what to do about it. Of a refused question
// the server alone knows what is wrong with it.
export function errorWords({ code, message = "" }) {
  const [title, advice] = Object.hasOwn(words.errors, code) ? words.errors[code] : [words.errorOther, message];
  return code === "bad_request" ? [title, [message, advice].filter(Boolean).join(" ")] : [title, advice];
}

// facts is the list under an answer: model, tokens, cost and time, in one line.
function facts({ usage, model, cost_usd: amount, cached: given, latency_ms: total, time_to_first_token_ms: first }) {
  const list = [];
  const add = (name, value, title = "") => {
    const group = document.createElement("div");
    const term = document.createElement("dt");
    const fact = document.createElement("dd");
    term.className = "unseen";
    term.textContent = name;
    fact.textContent = value;
    fact.title = title;
    group.append(term, fact);
    list.push(group);
    return group;
  };
  if (model) add(words.factModel, modelName(model), model).className = "fact-model";
  const number = (n) => count(n ?? 0, language);
  if (usage && !usage.unknown) {
    const cached = [[words.factCacheRead, usage.cache_read_tokens], [words.factCacheWrite, usage.cache_write_tokens]]
      .filter(([, n]) => n > 0).map(([name, n]) => `${name} ${words.tokens(number(n))}`).join("\n");
    const [start, unit, end] = words.inAndOut(number(usage.input_tokens), number(usage.output_tokens));
    const wide = document.createElement("span"); // a phone has no room for the word
    wide.className = "wide";
    wide.textContent = unit;
    add(words.factTokens, start, cached).lastChild.append(wide, end);
  } else {
    add(words.factTokens, words.tokensUnknown);
  }
  const known = typeof amount === "string" && Number.isFinite(Number(amount));
  add(words.factCost, known ? cost(amount, language) : words.costUnknown, known ? words.exactly(amount) : "").className = "cost";
  if (given) add(words.factCache, words.cached, words.cachedHint);
  if (total > 0) add(words.factTotal, seconds(total, language), first > 0 ? words.firstAfter(seconds(first, language)) : "");
  return list;
}

// gist is a tool's input in a few words, for the folded card.
function gist(input) {
  if (input === null || typeof input !== "object") return "";
  const text = Object.entries(input)
    .filter(([, value]) => ["string", "number"].includes(typeof value))
    .map(([name, value]) => (typeof value === "string" ? value : Object.hasOwn(words.inputs, name) ? words.inputs[name](value) : `${name.replaceAll("_", " ")} ${value}`))
    .join(" · ");
  return readable(shorten(text, longestGist, "…"));
}

function json(value) {
  const text = JSON.stringify(value, null, 2) ?? "";
  return readable(shorten(text, longestJSON, `\n${words.shortened}`));
}

function shorten(text, length, end) {
  return text.length <= length ? text : text.slice(0, length).toWellFormed().replace(/\ufffd$/, "") + end;
}
