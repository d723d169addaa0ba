// Reads answers with the clients of docs/streaming.md, in a headless Chromium and
// in Node, while connections are cut and servers killed.
//
//   npm ci && npm test
//
// CHROMIUM is the browser (default /usr/bin/chromium). Without a redis-server on
// the PATH, the tests of several processes are skipped.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const temp = mkdtempSync(join(tmpdir(), "resume-e2e-"));
const whole = Array.from({ length: 100 }, (_, i) => `${i + 1} `).join("");
let browser;

// guide returns the block of the guide that exports a function.
const guide = (name) => {
  const text = readFileSync(join(root, "docs/streaming.md"), "utf8");
  const block = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map((m) => m[1]).find((code) => new RegExp(`^export .*function\\*? ${name}\\(`, "m").test(code));
  assert.ok(block, `docs/streaming.md has no ${name}`);
  return block;
};

// A Server is one process of the example.
class Server {
  static all = new Set();
  static asked = 0; // by all processes, at the fake model

  static async start(...flags) {
    const server = new Server();
    server.process = spawn(join(temp, "resume"), ["-addr", "127.0.0.1:0", "-tps", "25", ...flags], { stdio: ["ignore", "pipe", "inherit"] });
    Server.all.add(server);
    server.exit = once(server.process, "exit");
    const lines = createInterface({ input: server.process.stdout });
    const url = await new Promise((resolve, reject) => {
      lines.on("line", (line) => (line.startsWith("http") ? resolve(line) : Server.asked++));
      lines.on("close", () => reject(new Error("the server printed no URL")));
    });
    server.port = Number(new URL(url).port);
    return server;
  }

  async end(signal) {
    Server.all.delete(this);
    this.process.kill(signal);
    await this.exit;
  }
}

// A Proxy is what is between the reader and the server, and breaks.
class Proxy {
  static all = new Set();
  sockets = new Set();
  state = "up";

  static async start(target) {
    const proxy = new Proxy();
    proxy.target = target;
    await proxy.listen(0);
    Proxy.all.add(proxy);
    return proxy;
  }

  async listen(port) {
    this.listener = net.createServer((client) => {
      this.sockets.add(client);
      client.on("error", () => {}).on("close", () => this.sockets.delete(client));
      if (this.state === "bad") {
        client.once("data", () => client.end("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        return;
      }
      const server = net.connect(this.target.port, "127.0.0.1");
      server.on("error", () => client.destroy()).on("close", () => client.destroy());
      client.on("close", () => server.destroy());
      client.pipe(server).pipe(client);
    });
    this.listener.listen(port, "127.0.0.1");
    await once(this.listener, "listening");
    this.port = this.listener.address().port;
  }

  get url() { return `http://127.0.0.1:${this.port}/`; }

  cut() { for (const socket of this.sockets) socket.destroy(); }

  async down() {
    const closed = once(this.listener, "close");
    this.listener.close();
    this.cut();
    await closed;
  }
}

// open opens the page, with the client of the guide.
async function open(proxy) {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(120_000);
  await page.route("**/client.js", (route) => route.fulfill({ contentType: "text/javascript", body: guide("follow") }));
  await page.goto(proxy.url);
  return page;
}

const asks = (page) => page.getByRole("button", { name: "Ask" }).click();
const received = (page) => page.evaluate(() => window.messages);
const reach = (page, n) => page.waitForFunction((n) => window.messages.at(-1)?.sequence >= n, n);

// complete waits for the end and checks that every message came once and in order.
async function complete(page, says = "complete") {
  await page.locator("#end", { hasText: says }).waitFor();
  check(await received(page), says === "complete");
}

function check(messages, complete = true) {
  assert.deepEqual(messages.map((m) => m.sequence), messages.map((_, i) => i + 1));
  assert.ok(messages.slice(0, -1).every((m) => m.type === "token"), "the last message comes last");
  const text = messages.map((m) => m.data ?? "").join("");
  if (!complete) return assert.ok(whole.startsWith(text));
  assert.equal(text, whole);
  assert.equal(messages.at(-1).type, "complete");
  assert.ok(messages.at(-1).cost);
}

// once the model is asked
async function asksOnce(fn) {
  const before = Server.asked;
  await fn();
  assert.equal(Server.asked - before, 1, "how often the model was asked");
}

before(async () => {
  execFileSync("go", ["build", "-o", join(temp, "resume"), "./examples/resume"], { cwd: root, stdio: "inherit" });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  for (const proxy of Proxy.all) await proxy.down().catch(() => {});
  for (const server of Server.all) await server.end("SIGKILL");
  rmSync(temp, { recursive: true, force: true });
});

describe("an EventSource", () => {
  let server, proxy;
  before(async () => {
    server = await Server.start();
    proxy = await Proxy.start(server);
  });

  test("asks no more once the answer has ended", () => asksOnce(async () => {
    const page = await open(proxy);
    let requests = 0;
    page.on("request", (request) => request.url().includes("/answers/") && requests++);
    await asks(page);
    await complete(page);
    await sleep(5000); // it would have connected again after one
    assert.equal(requests, 1);
    await page.reload(); // the whole again
    await complete(page);
  }));

  test("that does not close itself is closed by status 204", () => asksOnce(async () => {
    const page = await open(proxy);
    const statuses = await page.evaluate(async () => {
      const source = new EventSource(`answers/${crypto.randomUUID()}?q=hello`);
      let last = 0, connections = 0;
      source.addEventListener("token", (e) => { last = JSON.parse(e.data).sequence; });
      source.onopen = () => connections++;
      await new Promise((resolve) => { source.onerror = () => source.readyState === EventSource.CLOSED && resolve(); });
      return { last, connections };
    });
    assert.ok(statuses.last > 10);
    assert.equal(statuses.connections, 1);
  }));

  test("goes on after a reload", () => asksOnce(async () => {
    const page = await open(proxy);
    await asks(page);
    for (const n of [5, 20, 40]) {
      await reach(page, n);
      await page.reload();
    }
    await complete(page);
  }));

  test("goes on after lost connections", () => asksOnce(async () => {
    const page = await open(proxy);
    await asks(page);
    for (const n of [1, 10, 25, 40]) {
      await reach(page, n);
      proxy.cut();
    }
    await complete(page);
  }));

  test("goes on when the server is back", () => asksOnce(async () => {
    const page = await open(proxy);
    await asks(page);
    await reach(page, 10);
    const { port } = proxy;
    await proxy.down();
    await sleep(1500);
    proxy.state = "bad"; // a balancer without a server
    await proxy.listen(port);
    await sleep(1500);
    proxy.state = "up";
    await complete(page);
  }));

  test("is read by two pages at once", () => asksOnce(async () => {
    const page = await open(proxy);
    await asks(page);
    await reach(page, 5);
    const other = await open(proxy);
    const url = await page.evaluate(() => sessionStorage.getItem("answer"));
    await other.evaluate((url) => sessionStorage.setItem("answer", url), url);
    await other.reload();
    await complete(other);
    await complete(page);
  }));

  test("stops", () => asksOnce(async () => {
    const page = await open(proxy);
    await asks(page);
    await reach(page, 5);
    await page.locator("#stop").click();
    await complete(page, "ended: stopped");
  }));
});

describe("several processes", { skip: !process.env.PATH.split(delimiter).some((dir) => existsSync(join(dir, "redis-server"))) }, () => {
  let redis, flags;
  before(async () => {
    const probe = net.createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    const { port } = probe.address();
    probe.close();
    await once(probe, "close");
    redis = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], { cwd: temp, stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: redis.stdout })) if (line.includes("Ready to accept connections")) break;
    redis.stdout.resume();
    flags = ["-redis", `127.0.0.1:${port}`];
  });
  after(async () => {
    for (const server of Server.all) await server.end("SIGKILL");
    redis.kill("SIGKILL");
    await once(redis, "exit");
  });

  test("the reader's server is killed, and another takes its place", () => asksOnce(async () => {
    const first = await Server.start(...flags);
    const proxy = await Proxy.start(first);
    const page = await open(proxy);
    await asks(page);
    await reach(page, 5);
    let reader = await Server.start(...flags);
    proxy.target = reader;
    proxy.cut();
    for (const n of [15, 30]) {
      await reach(page, n);
      const next = await Server.start(...flags);
      proxy.target = next;
      await reader.end("SIGKILL");
      reader = next;
    }
    await complete(page);
  }));

  test("the server that runs the answer is killed", () => asksOnce(async () => {
    const first = await Server.start(...flags);
    const proxy = await Proxy.start(first);
    const page = await open(proxy);
    await asks(page);
    await reach(page, 5);
    proxy.target = await Server.start(...flags);
    await first.end("SIGKILL");
    await complete(page, "ended: interrupted");
  }));

  test("the server that runs the answer is replaced", () => asksOnce(async () => {
    const first = await Server.start(...flags);
    const proxy = await Proxy.start(first);
    const page = await open(proxy);
    await asks(page);
    await reach(page, 5);
    proxy.target = await Server.start(...flags);
    await first.end("SIGTERM"); // it waits for the answer
    await complete(page);
  }));
});

describe("other clients", () => {
  let server, proxy;
  before(async () => {
    server = await Server.start();
    proxy = await Proxy.start(server);
  });

  test("fetch, in the page", () => asksOnce(async () => {
    const page = await open(proxy);
    await page.route("**/fetch.js", (route) => route.fulfill({ contentType: "text/javascript", body: guide("ask") }));
    check(await page.evaluate(async () => {
      const { ask } = await import("./fetch.js");
      const messages = [];
      for await (const message of ask("answers", "Count")) messages.push(message);
      return messages;
    }));
  }));

  for (const where of ["Node", "the page"]) {
    test(`a WebSocket, in ${where}`, () => asksOnce(async () => {
      const url = `ws://127.0.0.1:${proxy.port}/answers/${crypto.randomUUID()}/socket?q=Count`;
      const cuts = [1, 12, 30];
      const progress = (n) => { if (n >= cuts[0]) { cuts.shift(); proxy.cut(); } };
      // read collects what comes, wherever it runs.
      const read = (followSocket, url, progress) => new Promise((resolve) => {
        const messages = [];
        followSocket(url, (message) => {
          messages.push(message);
          if (message.type !== "token") return resolve(messages);
          progress(message.sequence);
        });
      });
      if (where === "Node") {
        const { followSocket } = await import(`data:text/javascript,${encodeURIComponent(guide("followSocket"))}`);
        check(await read(followSocket, url, progress));
      } else {
        const page = await open(proxy);
        await page.route("**/socket.js", (route) => route.fulfill({ contentType: "text/javascript", body: guide("followSocket") }));
        await page.exposeFunction("progress", progress);
        check(await page.evaluate(`import("./socket.js").then(({ followSocket }) => (${read})(followSocket, ${JSON.stringify(url)}, window.progress))`));
      }
      assert.deepEqual(cuts, [], "every cut was made");
    }));
  }

  test("a WebSocket stops the answer", () => asksOnce(async () => {
    const { followSocket } = await import(`data:text/javascript,${encodeURIComponent(guide("followSocket"))}`);
    const messages = await new Promise((resolve) => {
      const all = [];
      const socket = followSocket(`ws://127.0.0.1:${proxy.port}/answers/${crypto.randomUUID()}/socket?q=Count`, (message) => {
        all.push(message);
        if (all.length === 3) socket.stop();
        if (message.type !== "token") resolve(all);
      });
    });
    assert.equal(messages.at(-1).code, "stopped");
    check(messages, false);
  }));
});
