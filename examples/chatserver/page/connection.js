// One WebSocket to the server, opened again when it breaks.

const firstWait = 500;
const longestWait = 15_000;
const settled = 5_000; // a connection that lived this long was a good one

export class Connection extends EventTarget {
  #address;
  #socket = null;
  #attempts = 0;
  #timer = 0;

  // state is "connecting", "open" or "waiting" (until retryAt, in milliseconds
  // of Date.now).
  state = "connecting";
  retryAt = 0;

  // address is a function that promises the URL, which may be good only once.
  //
  // The events are "state", "frame" (detail: the decoded frame) and "closed"
  // (detail: the close code), which comes once for each connection that was open.
  constructor(address) {
    super();
    this.#address = address;
    addEventListener("online", () => this.reconnect());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.reconnect();
    });
    this.#connect();
  }

  // reconnect ends the wait for the next attempt.
  reconnect() {
    if (this.state === "waiting") this.#connect();
  }

  // send reports whether the frame could be handed to an open connection.
  send(frame) {
    if (this.state !== "open") return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  // opened waits for an open connection, at most the given milliseconds, and
  // reports whether there is one.
  opened(timeout) {
    if (this.state === "open") return Promise.resolve(true);
    this.reconnect();
    return new Promise((resolve) => {
      const finish = () => {
        if (this.state !== "open" && Date.now() < deadline) return;
        clearTimeout(timer);
        this.removeEventListener("state", finish);
        resolve(this.state === "open");
      };
      const deadline = Date.now() + timeout;
      const timer = setTimeout(finish, timeout + 1);
      this.addEventListener("state", finish);
    });
  }

  async #connect() {
    clearTimeout(this.#timer);
    this.#become("connecting");
    let url;
    try {
      url = await this.#address();
    } catch {
      this.#wait();
      return;
    }
    const socket = new WebSocket(url);
    this.#socket = socket;
    let openedAt = 0;
    socket.addEventListener("open", () => {
      openedAt = Date.now();
      this.#become("open");
    });
    socket.addEventListener("message", ({ data }) => {
      let frame;
      try {
        frame = JSON.parse(data);
      } catch {
        return; // not a frame of this protocol
      }
      if (frame !== null && typeof frame === "object") this.#tell("frame", frame);
    });
    socket.addEventListener("close", ({ code }) => {
      if (openedAt > 0 && Date.now() - openedAt > settled) this.#attempts = 0;
      this.#wait();
      if (openedAt > 0) this.#tell("closed", code);
    });
  }

  #wait() {
    const wait = Math.min(longestWait, firstWait * 2 ** this.#attempts++) * (0.75 + Math.random() / 2);
    this.retryAt = Date.now() + wait;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#become("waiting");
  }

  #become(state) {
    this.state = state;
    this.#tell("state", state);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
