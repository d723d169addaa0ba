// ask posts a question and yields the messages of its answer.
export async function* ask(url, question) {
  const response = await fetch(url, {
    method: "POST",
    headers: { Accept: "text/event-stream", "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ q: question }),
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + text).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}
