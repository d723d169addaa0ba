// follow reads an answer and calls on(message) with each of its messages, once
// and in order, also if the connection is lost. It returns a function that
// leaves the answer. after is the sequence that was seen, or -1 for an answer
// that may have to be started.
export function follow(url, on, after = -1) {
  let source, timer, wait = 500;
  const leave = () => { clearTimeout(timer); source.close(); };
  const receive = (event) => {
    const message = JSON.parse(event.data);
    if (message.sequence <= after) return;
    after = message.sequence;
    wait = 500;
    if (message.type === "complete" || message.type === "error") leave();
    on(message);
  };
  const connect = () => {
    const at = new URL(url, location);
    if (after >= 0) at.searchParams.set("after", after);
    source = new EventSource(at);
    source.onopen = () => { after = Math.max(after, 0); };
    for (const type of ["token", "reasoning", "tool_use", "tool_result", "usage", "complete", "failed"]) {
      source.addEventListener(type, receive);
    }
    // An EventSource connects again by itself after a lost connection. After a
    // status such as a proxy's 502 it gives up, so we try again, ever more slowly.
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      if (wait > 30000) return on({ type: "error", code: "lost" });
      timer = setTimeout(connect, wait);
      wait *= 2;
    };
  };
  connect();
  return leave;
}
