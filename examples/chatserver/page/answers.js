// The answers that are on their way, one for each conversation at most. They go on
// when another conversation is shown.

import { context, isRunning } from "./conversation.js";

// What the server takes of a conversation, with room in the frame for the rest.
const limits = { mostBytes: 120_000, mostMessages: 99, mostAnswerBytes: 16_384 };
const connectTimeout = 10_000;
const stopTimeout = 5_000;
const silenceTimeout = 120_000; // no frame for so long: the answer is lost
const saveEvery = 1_000;

export class Answers {
  #connection;
  #listener;
  #running = new Map(); // conversation's id → {conversation, turn, requestID, lost, timer, savedAt}

  // The listener has the methods began, wrote(turn, text), usedTool(turn, tool),
  // changed(turn), save(conversation's id, turn), ended(turn) and refused(error), which
  // is of a frame that the server could not read.
  constructor(connection, listener) {
    this.#connection = connection;
    this.#listener = listener;
    connection.addEventListener("frame", ({ detail }) => this.#receive(detail));
    connection.addEventListener("closed", ({ detail: code }) => this.#closed(code));
    connection.addEventListener("state", () => {
      if (connection.state !== "open") return;
      for (const running of this.#running.values()) if (running.lost) this.#resume(running);
    });
  }

  // turnOf is the turn of a conversation that is read here.
  turnOf(id) {
    return this.#running.get(id)?.turn;
  }

  // ask sends a turn of a conversation to the server. goOn are the words that ask for
  // the rest of an answer.
  async ask(conversation, turn, goOn) {
    const running = this.#add(conversation, turn);
    const open = await this.#connection.opened(connectTimeout);
    if (this.#running.get(conversation.id) !== running) return; // stopped in the meantime
    if (!open) return this.#fail(running, { code: "not_connected", retryable: true });
    const { messages, forgotten } = context(conversation.turns, turn, limits, goOn);
    turn.forgotten = forgotten;
    turn.state = "waiting";
    this.#connection.send({ type: "chat", request_id: running.requestID, messages, model: turn.model, fresh: turn.fresh });
    this.#watch(running, silenceTimeout, { code: "timeout", retryable: true });
    this.#listener.changed(turn);
  }

  // takeUp reads on in an answer that goes on at the server, after a reload or beside
  // another tab.
  takeUp(conversation, turn) {
    const running = this.#add(conversation, turn);
    running.lost = true;
    if (this.#connection.state === "open") this.#resume(running);
    else this.#watch(running, silenceTimeout, { code: "connection", retryable: true });
  }

  stop(id) {
    const running = this.#running.get(id);
    if (!running || running.turn.state === "stopping") return;
    const { turn, requestID } = running;
    if (turn.state === "connecting") return this.#finish(running, { stop_reason: "cancelled", model: "", usage: { unknown: true } });
    turn.state = "stopping";
    this.#connection.send({ type: "stop", request_id: requestID, answer_id: turn.answerID });
    this.#watch(running, stopTimeout, { code: "timeout", retryable: true });
    this.#listener.changed(turn);
  }

  // drop stops an answer that nobody wants to see any more.
  drop(id) {
    const running = this.#running.get(id);
    if (!running) return;
    clearTimeout(running.timer);
    this.#running.delete(id);
    this.#connection.send({ type: "stop", request_id: running.requestID, answer_id: running.turn.answerID });
  }

  #add(conversation, turn) {
    const running = { conversation, turn, requestID: crypto.randomUUID(), lost: false, timer: 0, savedAt: 0 };
    this.#running.set(conversation.id, running);
    return running;
  }

  // resume asks for what came after the last frame that was seen.
  #resume(running) {
    const { turn, requestID } = running;
    running.lost = false;
    this.#connection.send({ type: "resume", request_id: requestID, answer_id: turn.answerID, after: turn.sequence });
    const stopping = turn.state === "stopping";
    if (stopping) this.#connection.send({ type: "stop", request_id: requestID, answer_id: turn.answerID });
    this.#watch(running, stopping ? stopTimeout : silenceTimeout, { code: "timeout", retryable: true });
  }

  // watch fails the answer unless a frame comes in time.
  #watch(running, milliseconds, error) {
    clearTimeout(running.timer);
    running.timer = setTimeout(() => {
      this.#connection.send({ type: "stop", request_id: running.requestID, answer_id: running.turn.answerID });
      this.#fail(running, error);
    }, milliseconds);
  }

  #closed(code) {
    for (const running of [...this.#running.values()]) {
      const { turn } = running;
      if (turn.state === "connecting") continue;
      if (turn.answerID) running.lost = true; // the answer goes on without us
      else if (code === 1009) this.#fail(running, { code: "too_large", retryable: false });
      else this.#fail(running, { code: "connection", retryable: true });
    }
  }

  #receive(frame) {
    const all = [...this.#running.values()];
    const unread = frame.type === "error" && frame.request_id === undefined;
    const running = unread && all.length === 1 ? all[0] : all.find(({ requestID }) => requestID === frame.request_id);
    if (unread && !running) this.#listener.refused(frame);
    if (!running) return;
    const { turn } = running;
    if (turn.state !== "stopping") this.#watch(running, silenceTimeout, { code: "timeout", retryable: true });
    if (frame.sequence !== undefined) {
      if (frame.sequence <= turn.sequence) return; // it was seen before the connection was lost
      turn.sequence = frame.sequence;
    }
    switch (frame.type) {
      case "start":
        this.#start(running, frame);
        break;
      case "token":
        this.#write(running, frame);
        break;
      case "tool_use": {
        const tool = { id: frame.tool_use_id, name: frame.name, input: frame.input };
        turn.parts.push({ tool });
        this.#listener.usedTool(turn, tool);
        break;
      }
      case "tool_result": {
        const tool = turn.parts.findLast((part) => part.tool?.id === frame.tool_use_id)?.tool;
        if (!tool) break;
        tool.status = frame.status === "success" ? "success" : "error";
        tool.content = frame.content;
        this.#listener.usedTool(turn, tool);
        break;
      }
      case "complete":
        this.#finish(running, frame);
        break;
      case "error":
        this.#fail(running, { code: frame.code, message: frame.message, retryable: frame.retryable === true });
        break;
    }
  }

  #start(running, frame) {
    const { turn } = running;
    turn.answerID = frame.answer_id;
    turn.reason = frame.reason ?? turn.reason;
    if (turn.state !== "waiting") return;
    turn.state = "streaming";
    this.#listener.save(running.conversation.id, turn); // so that a reload finds it
    this.#listener.began(turn);
  }

  #write(running, { data }) {
    const { turn } = running;
    const last = turn.parts.at(-1);
    if (last?.text !== undefined) last.text += data;
    else turn.parts.push({ text: data });
    this.#listener.wrote(turn, data);
    if (Date.now() - running.savedAt > saveEvery) {
      running.savedAt = Date.now();
      this.#listener.save(running.conversation.id, turn);
    }
  }

  #finish(running, { usage, stop_reason, cost_usd, cached, model, latency_ms, time_to_first_token_ms, reason }) {
    const { turn } = running;
    turn.state = "done";
    turn.reason = reason ?? turn.reason;
    const result = { usage, stop_reason, cost_usd, cached: cached === true, model, latency_ms, time_to_first_token_ms };
    turn.result = turn.goesOn && turn.result ? together(turn.result, result) : result;
    this.#end(running);
  }

  #fail(running, error) {
    running.turn.state = "failed";
    running.turn.error = error;
    this.#end(running);
  }

  #end(running) {
    clearTimeout(running.timer);
    this.#running.delete(running.conversation.id);
    this.#listener.save(running.conversation.id, running.turn);
    this.#listener.ended(running.turn);
  }
}

// together is the result of an answer that came in two parts.
function together(first, second) {
  const usage = { ...second.usage };
  for (const name of ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"]) {
    if (first.usage?.[name] !== undefined) usage[name] = first.usage[name] + (usage[name] ?? 0);
  }
  if (first.usage?.unknown) usage.unknown = true;
  return {
    ...second,
    usage,
    model: second.model || first.model,
    cost_usd: sum(first.cost_usd, second.cost_usd),
    cached: first.cached && second.cached,
    latency_ms: (first.latency_ms ?? 0) + (second.latency_ms ?? 0),
    time_to_first_token_ms: first.time_to_first_token_ms,
  };
}

// sum adds exact decimal amounts; undefined if one is not known.
function sum(a, b) {
  if (![a, b].every((amount) => /^\d+(\.\d+)?$/.test(amount ?? ""))) return undefined;
  const digits = Math.max(...[a, b].map((amount) => (amount.split(".")[1] ?? "").length));
  const whole = (amount) => BigInt(amount.split(".")[0] + (amount.split(".")[1] ?? "").padEnd(digits, "0"));
  const total = String(whole(a) + whole(b)).padStart(digits + 1, "0");
  return digits === 0 ? total : `${total.slice(0, -digits)}.${total.slice(-digits)}`;
}

// lost says of a turn that was being answered when its page went away, before the
// server had begun.
export function lost(turn) {
  return isRunning(turn) && !turn.answerID;
}
