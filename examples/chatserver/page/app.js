// MangaAssist's page: it joins the connection, the conversations and the view.

import { Connection } from "./connection.js";
import { Shelf, context, isRunning } from "./conversation.js";
import { codePoints, count, languageOf } from "./format.js";
import { language, words, switchLanguage, translate } from "./strings.js";
import { TurnView, errorWords } from "./view.js";

const suggestions = [
  "ワンピースに似たアクション漫画を教えてください",
  "What are the best seinen manga from 2023?",
  "『葬送のフリーレン』の在庫はありますか？",
  "Which manga did Naoki Urasawa write?",
];

// What the server takes of a conversation, with room in the frame for the rest.
const limits = { mostBytes: 120_000, mostMessages: 99, mostAnswerBytes: 16_384 };
const connectTimeout = 10_000;
const stopTimeout = 5_000;
const silenceTimeout = 120_000; // no frame for so long: the answer is lost
const saveEvery = 1_000;

const byId = (id) => document.getElementById(id);
const log = byId("log");
const question = byId("question");

let info = {
  notice: "",
  models: [{ name: "haiku" }, { name: "sonnet" }],
  max_question_characters: 4000,
};
const shelf = new Shelf();
let views = new Map(); // turn → its view
let running = null; // the turn that is being answered: {turn, requestID, sequence, timer, savedAt}

// Asking and answering.

function model() {
  return document.querySelector("input[name=model]:checked").value;
}

function ask(text) {
  if (running) return report(words.busy);
  report("");
  const turn = shelf.add(text, model());
  showTurn(turn);
  showShelf();
  follow.now();
  answer(turn);
}

async function answer(turn) {
  const request = { turn, requestID: crypto.randomUUID(), sequence: 0, timer: 0, savedAt: 0 };
  running = request;
  showBusy();
  const open = await connection.opened(connectTimeout);
  if (running !== request) return; // stopped in the meantime
  if (!open) return fail({ code: "not_connected", retryable: true });
  const { messages, forgotten } = context(shelf.current.turns, turn, limits);
  turn.forgotten = forgotten;
  turn.state = "waiting";
  connection.send({ type: "chat", request_id: request.requestID, messages, model: turn.model });
  watch(silenceTimeout, { code: "timeout", retryable: true });
  view(turn).update();
}

// again answers the question of a turn anew, in its place.
function again(turn) {
  if (running) return report(words.busy);
  report("");
  const fresh = shelf.replace(turn, model());
  const old = view(turn);
  const number = shelf.current.turns.indexOf(fresh) + 1;
  views.delete(turn);
  views.set(fresh, new TurnView(fresh, number, actions));
  old.element.replaceWith(view(fresh).element);
  focusDesk();
  follow.now();
  answer(fresh);
}

function edit(turn) {
  if (running) return report(words.busy);
  shelf.drop(turn);
  show();
  question.value = turn.question;
  measure();
  question.focus();
}

function stop() {
  if (!running || running.turn.state === "stopping") return;
  const { turn, requestID } = running;
  if (turn.state === "connecting") return finish({ stop_reason: "cancelled", model: "", usage: { unknown: true } });
  turn.state = "stopping";
  connection.send({ type: "stop", request_id: requestID });
  watch(stopTimeout, { code: "timeout", retryable: true });
  view(turn).update();
}

// watch fails the answer unless a frame comes in time.
function watch(milliseconds, error) {
  clearTimeout(running.timer);
  running.timer = setTimeout(() => {
    connection.send({ type: "stop", request_id: running.requestID });
    fail(error);
  }, milliseconds);
}

function receive(frame) {
  const unread = frame.type === "error" && frame.request_id === undefined; // of a frame that the server could not read
  if (unread && !running) report(errorWords(frame).join(" "));
  if (!running || (!unread && frame.request_id !== running.requestID)) return;
  const { turn } = running;
  if (turn.state !== "stopping") watch(silenceTimeout, { code: "timeout", retryable: true });
  switch (frame.type) {
    case "start":
      turn.state = turn.state === "waiting" ? "streaming" : turn.state;
      announce(words.announceStart);
      break;
    case "token":
      receiveToken(turn, frame);
      break;
    case "tool_use": {
      const tool = { id: frame.tool_use_id, name: frame.name, input: frame.input };
      turn.parts.push({ tool });
      view(turn).tool(tool);
      view(turn).update();
      break;
    }
    case "tool_result": {
      const tool = turn.parts.findLast((part) => part.tool?.id === frame.tool_use_id)?.tool;
      if (!tool) break;
      tool.status = frame.status === "success" ? "success" : "error";
      tool.content = frame.content;
      view(turn).tool(tool);
      break;
    }
    case "complete":
      finish(frame);
      break;
    case "error":
      fail({ code: frame.code, message: frame.message, retryable: frame.retryable === true });
      break;
  }
  follow.soon();
}

function receiveToken(turn, { data, sequence }) {
  if (sequence !== undefined && sequence !== ++running.sequence) {
    connection.send({ type: "stop", request_id: running.requestID });
    fail({ code: "gap", retryable: true });
    return;
  }
  const last = turn.parts.at(-1);
  if (last?.text !== undefined) last.text += data;
  else turn.parts.push({ text: data });
  view(turn).write(data);
  if (last?.text === undefined) view(turn).update();
  if (Date.now() - running.savedAt > saveEvery) {
    running.savedAt = Date.now();
    shelf.save();
  }
}

function finish({ usage, stop_reason, cost_usd, model, latency_ms, time_to_first_token_ms }) {
  const { turn } = running;
  turn.state = "done";
  turn.result = { usage, stop_reason, cost_usd, model, latency_ms, time_to_first_token_ms };
  end(stop_reason === "cancelled" ? words.announceStopped : words.announceEnd);
}

function fail(error) {
  const { turn } = running;
  turn.state = "failed";
  turn.error = error;
  end(words.announceError(errorWords(error)[0]));
}

function end(announcement) {
  const { turn, timer } = running;
  clearTimeout(timer);
  running = null;
  shelf.save();
  view(turn).update();
  showBusy();
  announce(announcement);
  follow.soon();
}

// The connection.

const connection = new Connection(new URL("ws", location.href.replace(/^http/, "ws")));
let wasLost = false;
let countdown = 0;

connection.addEventListener("frame", ({ detail }) => receive(detail));
connection.addEventListener("closed", ({ detail: code }) => {
  if (running && running.turn.state !== "connecting") {
    fail(code === 1009 ? { code: "too_large", retryable: false } : { code: "connection", retryable: true });
  }
});
connection.addEventListener("state", showConnection);

function showConnection() {
  const { state } = connection;
  clearInterval(countdown);
  byId("status").dataset.state = state;
  byId("status-text").textContent = { open: words.connected, connecting: words.connecting, waiting: words.disconnected }[state];
  if (state === "waiting") {
    if (!wasLost) announce(words.lostNow);
    wasLost = true;
    countdown = setInterval(showWait, 1000);
    showWait();
  } else if (state === "open") {
    if (wasLost) announce(words.announceConnected);
    if (wasLost || info.backend === undefined) learn();
    wasLost = false;
  } else {
    byId("lost-text").textContent = words.lostNow;
  }
  byId("lost").hidden = !wasLost;
}

function showWait() {
  const left = Math.ceil((connection.retryAt - Date.now()) / 1000);
  byId("lost-text").textContent = left > 0 ? words.lost(left) : words.lostNow;
}

// learn asks the server what it is: which models it has, and what to know about them.
async function learn() {
  try {
    const response = await fetch("v1/info");
    if (!response.ok) return;
    info = { ...info, ...(await response.json()) };
  } catch {
    return; // asked again after the next connection
  }
  showInfo();
  measure();
}

// What is on the page.

const view = (turn) => views.get(turn);
const actions = { retry: again, regenerate: again, edit, announce };

function announce(text) {
  byId("announcer").textContent = text;
}

// report says what is wrong with what was just done, next to the question.
function report(text) {
  byId("problem").textContent = text;
}

function showTurn(turn) {
  byId("welcome").hidden = true;
  const turnView = new TurnView(turn, shelf.current.turns.indexOf(turn) + 1, actions);
  views.set(turn, turnView);
  byId("turns").append(turnView.element);
}

// show draws the whole page anew, after a change of conversation or language.
function show() {
  document.documentElement.lang = language;
  document.title = words.title;
  translate(document);
  byId("language-name").textContent = language === "ja" ? "English" : "日本語";
  byId("language-name").lang = language === "ja" ? "en" : "ja";
  byId("language").ariaLabel = words.switchLanguage;
  byId("language").lang = language === "ja" ? "en" : "ja";
  byId("new").ariaLabel = words.newConversationLabel;
  byId("history").ariaLabel = words.conversationsLabel;
  question.placeholder = words.placeholder;
  views = new Map();
  byId("turns").replaceChildren();
  byId("welcome").hidden = shelf.current.turns.length > 0;
  for (const turn of shelf.current.turns) showTurn(turn);
  report("");
  showConnection();
  showInfo();
  showShelf();
  showBusy();
  measure();
  follow.now();
}

function showBusy() {
  const busy = running !== null;
  const focused = document.activeElement;
  log.ariaBusy = String(busy);
  byId("send").hidden = busy;
  byId("stop").hidden = !busy;
  byId("hint").textContent = busy ? words.hintBusy : words.hint;
  if (focused === byId("send") || focused === byId("stop")) focusDesk();
}

// focusDesk puts the focus where one goes on, without raising the keyboard of a
// touch screen.
function focusDesk() {
  if (matchMedia("(pointer: fine)").matches) question.focus();
  else byId(running ? "stop" : "send").focus();
}

function showInfo() {
  const notice = words.notices[info.backend] ?? info.notice;
  byId("notice").textContent = notice;
  byId("notice").hidden = notice === "";
  byId("notice").lang = languageOf(notice);
  const chosen = document.querySelector("input[name=model]:checked")?.value
    ?? shelf.current.turns.at(-1)?.model ?? "sonnet";
  const known = info.models.some(({ name }) => name === chosen) ? chosen : info.models[0]?.name;
  byId("models").replaceChildren(byId("models").querySelector("legend"), ...info.models.map(({ name, id }) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "model";
    input.value = name;
    input.checked = name === known;
    label.title = [words[`${name}Hint`], id].filter(Boolean).join("\n");
    const text = document.createElement("span");
    text.textContent = words[name] ?? name;
    label.append(input, text);
    return label;
  }));
}

function showShelf() {
  byId("shelf-list").replaceChildren(...shelf.conversations.map((conversation) => {
    const entry = byId("shelf-template").content.cloneNode(true).firstElementChild;
    const name = conversation.turns[0]?.question ?? words.untitled;
    const open = entry.querySelector(".shelf-open");
    const remove = entry.querySelector(".shelf-remove");
    entry.querySelector(".shelf-name").textContent = name;
    entry.querySelector(".shelf-name").lang = languageOf(name);
    entry.querySelector(".shelf-count").textContent = words.questions(conversation.turns.length);
    if (conversation === shelf.current) open.ariaCurrent = "true";
    open.addEventListener("click", () => {
      byId("conversations").hidePopover();
      leave();
      shelf.open(conversation.id);
      show();
      question.focus();
    });
    remove.ariaLabel = words.remove(name);
    remove.addEventListener("click", () => {
      if (conversation === shelf.current) leave();
      shelf.remove(conversation.id);
      show();
      (byId("shelf-list").querySelector("button") ?? byId("history")).focus();
    });
    return entry;
  }));
  byId("history").disabled = shelf.conversations.length === 0;
  if (shelf.conversations.length === 0 && byId("conversations").matches(":popover-open")) byId("conversations").hidePopover();
}

// leave ends the answer that is being given, before its conversation goes out
// of sight.
function leave() {
  if (!running) return;
  connection.send({ type: "stop", request_id: running.requestID });
  finish({ stop_reason: "cancelled", model: "", usage: { unknown: true } });
}

// measure fits the box to the question and counts its characters.
function measure() {
  if (!CSS.supports("field-sizing", "content")) {
    question.style.height = "auto";
    question.style.height = `${question.scrollHeight}px`;
  }
  const most = info.max_question_characters;
  const length = codePoints(question.value.trim());
  const over = length - most;
  const counter = byId("counter");
  counter.hidden = length <= most * 0.9;
  counter.textContent = counter.hidden ? "" : `${count(length, language)} / ${count(most, language)}`;
  counter.ariaLabel = words.counter(count(length, language), count(most, language));
  question.ariaInvalid = String(over > 0);
  const problem = byId("problem");
  if (over > 0) {
    const text = words.tooLong(count(over, language), count(most, language));
    if (problem.textContent !== text) report(text);
    problem.dataset.kind = "length";
  } else if (problem.dataset.kind === "length") {
    report("");
    delete problem.dataset.kind;
  }
  return over > 0;
}

// follow keeps the end of the log in sight, as long as the reader is there.
const follow = {
  on: true,
  top: 0,
  planned: false,

  now() {
    this.on = true;
    log.scrollTop = byId("welcome").hidden ? log.scrollHeight : 0;
    byId("jump").hidden = true;
  },

  soon() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => {
      this.planned = false;
      if (this.on && byId("welcome").hidden) log.scrollTop = log.scrollHeight;
      this.showJump();
    });
  },

  // scrolled tells the reader's scrolling up from our own scrolling down.
  scrolled() {
    const below = log.scrollHeight - log.clientHeight - log.scrollTop;
    if (below < 4) this.on = true;
    else if (log.scrollTop < this.top) this.on = false;
    this.top = log.scrollTop;
    this.showJump();
  },

  showJump() {
    byId("jump").hidden = this.on || log.scrollHeight - log.clientHeight - log.scrollTop < 4;
  },
};

// What the reader does.

function submit() {
  const text = question.value.trim();
  if (running) return report(words.busy);
  if (text === "" || measure()) return question.focus();
  question.value = "";
  measure();
  ask(text);
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
question.addEventListener("keydown", (event) => {
  // While an input method composes, Enter confirms and does not send. Safari
  // ends the composition before this event, which then has the key code 229.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
    event.preventDefault();
    submit();
  }
});
question.addEventListener("input", () => {
  if (byId("problem").dataset.kind !== "length") report("");
  measure();
});
document.addEventListener("keydown", (event) => {
  const composing = event.isComposing || event.keyCode === 229;
  if (event.key === "Escape" && !composing && !byId("conversations").matches(":popover-open")) stop();
});
byId("stop").addEventListener("click", stop);
byId("reconnect").addEventListener("click", () => connection.reconnect());
byId("jump").addEventListener("click", () => {
  follow.now();
  log.focus();
});
byId("new").addEventListener("click", () => {
  leave();
  shelf.begin();
  show();
  announce(words.announceNew);
  question.focus();
});
byId("language").addEventListener("click", () => {
  switchLanguage();
  show();
});
log.addEventListener("scroll", () => follow.scrolled());
new ResizeObserver(() => follow.soon()).observe(log);
addEventListener("pagehide", () => shelf.save());

byId("suggestions").replaceChildren(...suggestions.map((text) => {
  const entry = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.lang = languageOf(text);
  button.addEventListener("click", () => {
    ask(text);
    focusDesk();
  });
  entry.append(button);
  return entry;
}));

show();
if (matchMedia("(pointer: fine)").matches) question.focus();
