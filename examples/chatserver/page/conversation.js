// What a conversation is made of, and what of it goes to the model.
//
// A turn is
//   {id, question, model, fresh, state, parts, forgotten, error, result, answerID, sequence, goesOn}
// where state is "connecting", "waiting" (for the first frame), "streaming",
// "stopping", "done" or "failed", and a part is {text} or
// {tool: {id, name, input, status, content}}. answerID and sequence say where to
// read on at the server; fresh, that the model is asked even if the server's cache has
// an answer; goesOn, that the model goes on with what it has written.

export const isRunning = (turn) => ["connecting", "waiting", "streaming", "stopping"].includes(turn.state);

export function newTurn(question, model, fresh = false) {
  return {
    id: crypto.randomUUID(), question, model, fresh, state: "connecting", parts: [], forgotten: 0, error: null, result: null, answerID: "", sequence: 0, goesOn: false,
  };
}

// putTurn puts a turn in the place of the one with its id. If that is gone, or another
// tab has read further, nothing changes and it returns false.
export function putTurn(conversation, turn) {
  const at = conversation.turns.findIndex(({ id }) => id === turn.id);
  if (at < 0 || further(conversation.turns[at], turn)) return false;
  conversation.turns[at] = turn;
  return true;
}

// further says if a turn has more of the same answer than another one. Of two that are
// done, the reader that was there from the start knows the times.
export function further(turn, other) {
  if (turn.answerID === "" || turn.answerID !== other.answerID) return false;
  return turn.sequence > other.sequence || (turn.sequence === other.sequence && turn.state === "done" && !(other.result?.latency_ms > 0));
}

// addTurn puts a turn in the place of an earlier one, and of all after it if they go
// too. Without an earlier one it comes last.
export function addTurn(conversation, turn, { earlier = turn, andAfter = false } = {}) {
  const at = conversation.turns.findIndex(({ id }) => id === earlier.id);
  if (at < 0) conversation.turns.push(turn);
  else conversation.turns.splice(at, andAfter ? Infinity : 1, turn);
  conversation.askedAt = Date.now();
}

export function answerText(turn) {
  return turn.parts.filter((part) => part.text !== undefined).map((part) => part.text).join("\n\n").trim();
}

const length = (text) => new TextEncoder().encode(text).length;
const size = (message) => length(JSON.stringify(message)) + 1;

// context is what the model is given for a turn: the question, and before it
// the answered turns, the oldest left out when the limits would be passed. If the
// answer goes on, its text and goOn (the words that ask for more) follow.
// forgotten counts the messages left out.
export function context(turns, turn, { mostBytes, mostMessages, mostAnswerBytes }, goOn) {
  const messages = [{ role: "user", content: turn.question }];
  if (turn.goesOn) {
    messages.push({ role: "assistant", content: endOf(answerText(turn), mostAnswerBytes) }, { role: "user", content: goOn });
  }
  let bytes = messages.reduce((sum, message) => sum + size(message), 0);
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

// endOf is the end of a text that has at most so many bytes.
function endOf(text, most) {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= most) return text;
  return new TextDecoder().decode(bytes.slice(bytes.length - most)).replace(/^\ufffd+/, "");
}
