// MangaAssist's page: it joins the connection, the conversations and the view.

import { announce, report } from "./announce.js";
import { Answers, lost } from "./answers.js";
import { focusDesk, limit, onSend, showBusy } from "./composer.js";
import { Connection } from "./connection.js";
import { addTurn, further, isRunning, newTurn, putTurn } from "./conversation.js";
import { follow } from "./follow.js";
import { languageOf } from "./format.js";
import { model, showModels } from "./models.js";
import { showNotice } from "./notice.js";
import { readable } from "./readable.js";
import { Shelf } from "./shelf.js";
import { showConnection, watchConnection } from "./status.js";
import { moveIn, newConversation, openStore } from "./store.js";
import { language, switchLanguage, translate, words } from "./strings.js";
import { ticket } from "./ticket.js";
import { TurnView, errorWords } from "./view.js";

const suggestions = [
  "ワンピースに似たアクション漫画を教えてください",
  "What are the best seinen manga from 2023?",
  "『葬送のフリーレン』の在庫はありますか？",
  "Which manga did Naoki Urasawa write?",
];

const byId = (id) => document.getElementById(id);
const question = byId("question");

let info = { models: [{ name: "haiku" }, { name: "sonnet" }], max_question_characters: 4000 };
let current = newConversation(); // the conversation that is shown
let views = new Map(); // the id of a turn → its view
let asked = 0; // the questions that were asked here

const store = await openStore();
await moveIn(store);

const connection = new Connection(async () => {
  const url = new URL("ws", location.href.replace(/^http/, "ws"));
  url.hash = "";
  if (info.backend === undefined) await learn();
  if (info.needs_key) url.searchParams.set("ticket", await ticket());
  return url;
});
connection.addEventListener("state", () => connection.state === "open" && learn());
watchConnection(connection);

// Only the view of a conversation that is shown hears of its answer.
const answers = new Answers(connection, {
  began: (turn) => views.has(turn.id) && announce(words.announceStart),
  wrote(turn, text) {
    views.get(turn.id)?.write(text);
    follow.soon();
  },
  usedTool(turn, tool) {
    views.get(turn.id)?.tool(tool);
    views.get(turn.id)?.update();
    follow.soon();
  },
  changed: (turn) => views.get(turn.id)?.update(),
  save: (id, turn) => store.change(id, (conversation) => putTurn(conversation, turn)).catch(unsaved),
  ended(turn) {
    if (!views.has(turn.id)) return;
    views.get(turn.id).update();
    report("");
    showBusy(false);
    announce(endOf(turn));
    follow.soon();
  },
  refused: (error) => report(errorWords(error).join(" ")),
});

function endOf({ state, result, error }) {
  if (state === "failed") return words.announceError(errorWords(error)[0]);
  return result.stop_reason === "cancelled" ? words.announceStopped : words.announceEnd;
}

function unsaved() {
  report(words.unsaved);
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
}

// Asking.

const busy = () => current.turns.some(isRunning);

function ask(text) {
  if (busy()) {
    report(words.busy);
    return false;
  }
  report("");
  begin(newTurn(text, model()));
  return true;
}

// begin asks the question of a turn in its place; see addTurn.
function begin(turn, place) {
  const { id } = current;
  asked++;
  addTurn(current, turn, place);
  store.change(id, (conversation) => addTurn(conversation, turn, place)).then(() => shelf.show(), unsaved);
  if (current.turns.length === 1) name();
  drawTurns();
  answers.ask(current, turn);
  showBusy(true);
  follow.now();
}

// stop ends the answer of the conversation that is shown. One that another tab asked
// for and that has not begun may be lost with that tab.
function stop() {
  if (answers.turnOf(current.id)) return answers.stop(current.id);
  const { id } = current;
  const turn = current.turns.find(isRunning);
  if (!turn) return;
  Object.assign(turn, lostBefore);
  store.change(id, (conversation) => putTurn(conversation, turn)).catch(unsaved);
  drawTurn(turn);
  showBusy(false);
}

const lostBefore = { state: "failed", error: { code: "reloaded", retryable: true } };

const actions = {
  announce,
  // retry answers the question of a turn anew, and not with what the server has kept.
  retry(turn) {
    if (busy()) return report(words.busy);
    report("");
    begin(newTurn(turn.question, model(), true), { earlier: turn });
    focusDesk();
  },
  resend(turn, text) {
    if (busy()) return report(words.busy);
    report("");
    begin(newTurn(text, model()), { earlier: turn, andAfter: true });
    focusDesk();
  },
  goOn(turn) {
    if (busy()) return report(words.busy);
    report("");
    Object.assign(turn, { state: "connecting", goesOn: true, answerID: "", sequence: 0 });
    drawTurn(turn);
    answers.ask(current, turn, words.goOn[languageOf(turn.question)] ?? words.goOn.en);
    showBusy(true);
    focusDesk();
  },
  after: (turn) => current.turns.length - 1 - current.turns.indexOf(turn),
};

// Conversations. Each has an address.

const address = (id) => `#/c/${id}`;
const addressed = () => /^#\/c\/([\w-]+)$/.exec(location.hash)?.[1];

async function open(id) {
  const found = id && (await store.load(id));
  if (id !== addressed()) return; // another one was opened meanwhile
  current = found || newConversation();
  show();
  if (id && !found) {
    history.replaceState(null, "", "#/");
    report(words.conversationGone);
  }
}

// name gives the new conversation its address.
function name() {
  history.replaceState(null, "", address(current.id));
  shelf.current = current.id;
  showTitle();
}

const shelf = new Shelf(store, {
  open(id) {
    location.hash = address(id);
    question.focus();
  },
  async rename(id, title) {
    await store.change(id, (conversation) => conversation.turns.length > 0 && Object.assign(conversation, { title }));
    if (id === current.id) current.title = title;
    showTitle();
  },
  async remove(id) {
    answers.drop(id);
    await store.remove(id);
    if (id === current.id) leave();
  },
});

function leave() {
  history.replaceState(null, "", "#/");
  open(undefined);
}

// Another tab has changed or removed a conversation.
store.addEventListener("change", async ({ detail: id }) => {
  shelf.show();
  const shown = id === current.id;
  if (!shown && !answers.turnOf(id)) return;
  const found = await loadAfterAsking(id);
  if (!found) {
    answers.drop(id);
    if (shown && current.turns.length > 0 && current.id === id) {
      leave();
      report(words.removedElsewhere);
    }
    return;
  }
  const own = answers.turnOf(id);
  if (own && !found.turns.some((turn) => turn.id === own.id)) answers.drop(id); // it is asked again there
  if (current.id === id) merge(found);
});

// loadAfterAsking loads a conversation with all that was asked here meanwhile.
async function loadAfterAsking(id) {
  for (;;) {
    const before = asked;
    const found = await store.load(id);
    if (asked === before) return found;
  }
}

// merge takes over what another tab has written. A turn that is read here stays, and
// one that has come further here.
function merge(found) {
  const own = answers.turnOf(current.id);
  const same = (turn) => current.turns.find(({ id }) => id === turn.id);
  current.title = found.title;
  current.turns = found.turns.map((turn) => {
    const before = same(turn);
    const stays = before && (turn.id === own?.id || further(before, turn) || JSON.stringify(before) === JSON.stringify(turn));
    return stays ? before : turn;
  });
  drawTurns();
  showTitle();
  takeUp();
  showBusy(busy());
}

// takeUp reads on in an answer that goes on at the server.
function takeUp() {
  const unread = current.turns.find((turn) => isRunning(turn) && turn.answerID && turn !== answers.turnOf(current.id));
  if (unread && !answers.turnOf(current.id)) answers.takeUp(current, unread);
}

// What is on the page.

// drawTurns brings the views in line with the turns.
function drawTurns() {
  const old = views;
  views = new Map();
  current.turns.forEach((turn, i) => {
    const known = old.get(turn.id);
    views.set(turn.id, known?.turn === turn ? known : new TurnView(turn, i + 1, actions));
  });
  const wanted = [...views.values()].map(({ element }) => element);
  for (const element of [...byId("turns").children]) if (!wanted.includes(element)) element.remove();
  wanted.forEach((element, i) => {
    if (byId("turns").children[i] !== element) byId("turns").insertBefore(element, byId("turns").children[i] ?? null);
  });
  byId("welcome").hidden = current.turns.length > 0;
}

// drawTurn makes the view of one turn anew.
function drawTurn(turn) {
  views.delete(turn.id);
  drawTurns();
}

// show draws the whole page anew, after a change of conversation or language.
function show() {
  document.documentElement.lang = language;
  translate(document);
  const other = language === "ja" ? "en" : "ja";
  byId("language-name").textContent = other === "en" ? "English" : "日本語";
  byId("language-name").lang = byId("language").lang = other;
  byId("language").ariaLabel = words.switchLanguage;
  byId("new").ariaLabel = words.newConversationLabel;
  byId("history").ariaLabel = words.conversationsLabel;
  question.placeholder = words.placeholder;
  const own = answers.turnOf(current.id);
  if (own) putTurn(current, own);
  for (const turn of current.turns) {
    if (lost(turn) && turn !== own) Object.assign(turn, lostBefore);
  }
  views = new Map();
  drawTurns();
  takeUp();
  shelf.current = current.id;
  shelf.show();
  report("");
  showTitle();
  showConnection();
  showInfo();
  showBusy(busy());
  follow.now();
}

function showTitle() {
  const title = readable(current.title || (current.turns[0]?.question ?? "")).slice(0, 80);
  document.title = title === "" ? words.title : words.titleOf(title);
}

function showInfo() {
  showNotice(info);
  showModels(info.models);
  limit(info.max_question_characters);
}

// What the reader does.

onSend(ask);
byId("stop").addEventListener("click", stop);
document.addEventListener("keydown", (event) => {
  const composing = event.isComposing || event.keyCode === 229;
  if (event.key === "Escape" && !composing && !document.querySelector(":popover-open, dialog[open], .editor")) stop();
});
byId("new").addEventListener("click", () => {
  if (addressed()) location.hash = "#/";
  announce(words.announceNew);
  question.focus();
});
byId("language").addEventListener("click", () => {
  switchLanguage();
  show();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is the conversation's
  question.focus();
});
addEventListener("hashchange", () => open(addressed()));

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

await open(addressed());
if (matchMedia("(pointer: fine)").matches) question.focus();
