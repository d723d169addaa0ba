// followSocket is follow over a WebSocket, with a way to stop the answer.
export function followSocket(url, on, after = -1) {
  let socket, timer, left = false, wait = 500;
  const connect = () => {
    const at = new URL(url);
    if (after >= 0) at.searchParams.set("after", String(after));
    socket = new WebSocket(at.href);
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.sequence <= after) return;
      after = message.sequence;
      wait = 500;
      on(message);
    };
    // 1000 comes after the last message. The codes from 4000 on are final.
    socket.onclose = ({ code }) => {
      if (left || code === 1000) return;
      if (code >= 4000 || wait > 30000) return on({ type: "error", code: "lost" });
      timer = setTimeout(connect, wait);
      wait *= 2;
    };
  };
  connect();
  return {
    stop: () => socket.send(JSON.stringify({ type: "stop" })),
    leave: () => { left = true; clearTimeout(timer); socket.close(); },
  };
}
