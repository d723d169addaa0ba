// The conversations of this tab, which survive a reload, and what of them goes
// to the model.
//
// A conversation is {id, turns}. A turn is
//   {id, question, model, state, parts, forgotten, error, result}
// where state is "connecting", "waiting" (for the first frame), "streaming",
// "stopping", "done" or "failed", and a part is {text} or
// {tool: {id, name, input, status, content}}.

const stored = "mangaassist.conversations.1";
const mostConversations = 20;

const newConversation = () => ({ id: crypto.randomUUID(), turns: [] });

export const isRunning = (turn) => ["connecting", "waiting", "streaming", "stopping"].includes(turn.state);

export class Shelf {
  conversations = []; // newest first
  current = newConversation();

  constructor() {
    let saved;
    try {
      saved = JSON.parse(sessionStorage.getItem(stored));
    } catch {
      return; // denied or damaged: begin anew
    }
    if (!Array.isArray(saved?.conversations)) return;
    this.conversations = saved.conversations;
    this.current = this.conversations.find(({ id }) => id === saved.current) ?? this.current;
    for (const turn of this.conversations.flatMap(({ turns }) => turns)) {
      if (isRunning(turn)) {
        turn.state = "failed";
        turn.error = { code: "reloaded", retryable: true };
      }
    }
  }

  begin() {
    this.current = newConversation();
    this.save();
  }

  open(id) {
    this.current = this.conversations.find((conversation) => conversation.id === id) ?? this.current;
    this.save();
  }

  remove(id) {
    this.conversations = this.conversations.filter((conversation) => conversation.id !== id);
    if (this.current.id === id) this.current = newConversation();
    this.save();
  }

  // add appends a turn to the current conversation, which thereby is kept.
  add(question, model) {
    const turn = newTurn(question, model);
    this.current.turns.push(turn);
    this.conversations = [this.current, ...this.conversations.filter((c) => c !== this.current)].slice(0, mostConversations);
    this.save();
    return turn;
  }

  // replace puts a fresh turn with the same question in the place of another.
  replace(turn, model) {
    const fresh = newTurn(turn.question, model);
    this.current.turns[this.current.turns.indexOf(turn)] = fresh;
    this.save();
    return fresh;
  }

  drop(turn) {
    this.current.turns = this.current.turns.filter((other) => other !== turn);
    this.save();
  }

  // save keeps as many conversations as the browser has room for.
  save() {
    for (let keep = this.conversations.length; keep >= 0; keep--) {
      try {
        const conversations = this.conversations.slice(0, keep);
        sessionStorage.setItem(stored, JSON.stringify({ current: this.current.id, conversations }));
        return;
      } catch {
        // Full or denied: try with fewer.
      }
    }
  }
}

function newTurn(question, model) {
  return { id: crypto.randomUUID(), question, model, state: "connecting", parts: [], forgotten: 0, error: null, result: null };
}

export function answerText(turn) {
  return turn.parts.filter((part) => part.text !== undefined).map((part) => part.text).join("\n\n").trim();
}

// context is what the model is given for a turn: the question, and before it
// the answered turns, the oldest left out when the limits would be passed.
// forgotten counts the messages left out.
export function context(turns, turn, { mostBytes, mostMessages, mostAnswerBytes }) {
  const length = (text) => new TextEncoder().encode(text).length;
  const size = (message) => length(JSON.stringify(message)) + 1;
  const messages = [{ role: "user", content: turn.question }];
  let bytes = size(messages[0]);
  let forgotten = 0;
  for (const earlier of turns.slice(0, turns.indexOf(turn)).reverse()) {
    const answer = answerText(earlier);
    if (answer === "") continue; // a question without an answer is no part of the dialogue
    const pair = [{ role: "user", content: earlier.question }, { role: "assistant", content: answer }];
    bytes += size(pair[0]) + size(pair[1]);
    const fits = bytes <= mostBytes && messages.length + 2 <= mostMessages && length(answer) <= mostAnswerBytes;
    if (forgotten > 0 || !fits) forgotten += 2;
    else messages.unshift(...pair);
  }
  return { messages, forgotten };
}
