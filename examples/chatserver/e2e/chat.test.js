// Types questions into the page of the chat server, in a headless Chromium.
//
//   npm ci && npm test
//
// CHROMIUM is the browser (default /usr/bin/chromium), CHATSERVER_URL a server
// that runs already, SCREENSHOTS a folder for pictures of what was seen.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const japanese = "ワンピースに似たアクション漫画を教えてください";
const english = "What are the best seinen manga from 2023?";

const temp = mkdtempSync(join(tmpdir(), "chatserver-e2e-"));
const servers = [];
let browser;

// serve starts the server with an offline model of tps tokens a second.
async function serve(tps) {
  if (process.env.CHATSERVER_URL) return process.env.CHATSERVER_URL;
  const server = spawn(join(temp, "chatserver"), ["-addr", "127.0.0.1:0", "-tps", String(tps)], { stdio: ["ignore", "pipe", "ignore"] });
  servers.push(server);
  for await (const line of createInterface({ input: server.stdout })) return line;
  throw new Error("the server printed nothing");
}

// open opens the page and keeps what a page should not do: errors on its
// console, and requests to other hosts. prepare is called before the page loads.
async function open(url, options = {}, prepare = async () => {}) {
  const context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) wrong.push(request.url());
  });
  await prepare(page);
  await page.goto(url);
  await page.locator('#status[data-state="open"]').waitFor();
  return { page, wrong, close: () => context.close() };
}

async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return;
  mkdirSync(process.env.SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
}

async function ask(page, text) {
  await page.locator("#question").fill(text);
  await page.locator("#question").press("Enter");
}

const last = (page) => page.locator(".turn").last();
const done = (page) => last(page).locator(".colophon").waitFor();
const text = (page) => last(page).locator(".prose").allInnerTexts().then((parts) => parts.join("\n"));

before(async () => {
  if (!process.env.CHATSERVER_URL) {
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    execFileSync("go", ["build", "-o", join(temp, "chatserver"), "./examples/chatserver"], { cwd: root, stdio: "inherit" });
  }
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  for (const server of servers) server.kill("SIGTERM");
  rmSync(temp, { recursive: true, force: true });
});

describe("the page", () => {
  for (const [name, question, expected] of [["japanese", japanese, /[ぁ-んァ-ヶ一-龠]{4}/], ["english", english, /seinen/i]]) {
    test(`answers in ${name}, token by token, with its tools and its cost`, async () => {
      const { page, wrong, close } = await open(await serve(60));
      await ask(page, question);
      // Tokens arrive: the text grows while the log is busy.
      await last(page).locator(".prose").first().waitFor();
      assert.equal(await page.locator("#log").getAttribute("aria-busy"), "true");
      const before = (await text(page)).length;
      await page.waitForFunction((n) => [...document.querySelectorAll(".turn:last-of-type .prose")].map((p) => p.innerText).join("\n").length > n, before);
      await picture(page, `${name}-streaming`);
      await done(page);
      assert.equal(await page.locator("#log").getAttribute("aria-busy"), "false");
      assert.match(await text(page), expected);
      assert.match(await last(page).locator(".cost").innerText(), /^\$0\.0*[1-9]/);
      assert.match(await last(page).locator(".facts").innerText(), /claude-3-sonnet/);

      const tool = last(page).locator("details.tool").first();
      assert.match(await tool.innerText(), /search_manga_catalog/);
      assert.equal(await tool.getAttribute("data-status"), "success");
      await tool.locator("summary").click();
      assert.match(await tool.innerText(), /query/);
      await picture(page, `${name}-done`);
      assert.deepEqual(wrong, []);
      await close();
    });
  }

  test("stops an answer half way, by Esc and by the button", async () => {
    const { page, wrong, close } = await open(await serve(20));
    for (const stop of [() => page.keyboard.press("Escape"), () => page.locator("#stop").click()]) {
      await ask(page, english);
      await last(page).locator(".prose").first().waitFor();
      await stop();
      await done(page);
      const stopped = await text(page);
      assert.ok(stopped.length > 0);
      await picture(page, "stopped");
      // Nothing more comes, and no cost is made up.
      await page.waitForTimeout(500);
      assert.equal(await text(page), stopped);
      assert.doesNotMatch(await last(page).locator(".facts").innerText(), /\$0(\.0+)?\b(?!\.)/);
    }
    // The next question is answered.
    await ask(page, "hello");
    await done(page);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("does not send while an input method composes", async () => {
    const { page, close } = await open(await serve(1000));
    const question = page.locator("#question");
    await question.fill("ワンピース");
    await question.dispatchEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true });
    await question.dispatchEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true });
    await question.press("Shift+Enter");
    assert.equal(await page.locator(".turn").count(), 0);
    assert.equal(await question.inputValue(), "ワンピース\n");
    await question.press("Enter");
    await done(page);
    await close();
  });

  test("says what is wrong with a question, and keeps it", async () => {
    const { page, close } = await open(await serve(1000));
    await ask(page, "漫".repeat(4001));
    await page.locator("#problem:not(:empty)").waitFor();
    assert.equal(await page.locator(".turn").count(), 0);
    assert.equal((await page.locator("#question").inputValue()).length, 4001);
    await picture(page, "too-long");
    await page.locator("#question").fill("   ");
    await page.locator("#question").press("Enter");
    assert.equal(await page.locator(".turn").count(), 0);
    await close();
  });

  test("keeps the conversation over a reload, and uses it", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    await ask(page, "Who wrote Monster?");
    await done(page);
    const answer = await text(page);
    assert.match(answer, /Urasawa/);
    await page.reload();
    await page.locator('#status[data-state="open"]').waitFor();
    assert.equal(await text(page), answer);
    await ask(page, "How many volumes does it have?");
    await done(page);
    assert.match(await text(page), /18/);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("works with the keyboard alone", async () => {
    const { page, close } = await open(await serve(1000));
    assert.equal(await page.evaluate(() => document.activeElement.id), "question", "one can type at once");
    await page.keyboard.type("hello");
    await page.keyboard.press("Enter");
    await done(page);
    assert.equal(await page.locator("#announcer").innerText() !== "", true, "the end is announced");
    assert.equal(await page.locator("#log").getAttribute("aria-live"), "off", "tokens are not");
    await close();
  });

  test("fits a small phone, in the dark and in Japanese", async () => {
    const { page, wrong, close } = await open(await serve(1000), { viewport: { width: 320, height: 640 }, colorScheme: "dark", locale: "ja-JP" });
    await picture(page, "phone-welcome");
    assert.equal(await page.evaluate(() => document.documentElement.lang), "ja");
    assert.equal(await page.locator("#log").evaluate((log) => log.scrollTop), 0, "the welcome is read from its top");
    await ask(page, japanese);
    await done(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no scrolling sideways");
    const [red, green, blue] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    assert.ok(red + green + blue < 200, "dark");
    await picture(page, "phone-done");
    assert.deepEqual(wrong, []);
    await close();
  });

  test("says that the model is the offline one", async () => {
    const { page, close } = await open(await serve(1000));
    await page.locator("#notice:not([hidden])").waitFor();
    assert.match(await page.locator("#notice").innerText(), /offline/);
    await page.locator("#language").click();
    assert.match(await page.locator("#notice").innerText(), /オフライン/);
    assert.equal(await page.locator("#notice").getAttribute("lang"), "ja");
    await close();
  });

  test("breaks no rule of accessibility that a program can check", async () => {
    const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    const url = await serve(1000);
    for (const colorScheme of ["light", "dark"]) {
      const { page, wrong, close } = await open(url, { colorScheme });
      const check = async (where) => {
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
        assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], `${where}, ${colorScheme}`);
      };
      await check("welcome");
      await ask(page, japanese);
      await done(page);
      await last(page).locator("details.tool summary").first().click();
      await check("answer");
      assert.equal(await last(page).locator(".parts").getAttribute("lang"), "ja");
      await page.locator("#question").fill("漫".repeat(4001));
      await page.locator("#history").click();
      await check("error and shelf");
      assert.deepEqual(wrong, []);
      await close();
    }
  });

  test("says in place what went wrong, and tries again", async () => {
    const faults = [
      { frame: { type: "error", code: "busy", message: "Busy.", retryable: true } },
      { frame: { type: "token", data: "late", sequence: 7 } },
      { close: true },
    ];
    const { page, close } = await open(await serve(1000), {}, async (page) => {
      await page.routeWebSocket(/\/ws$/, (socket) => {
        const server = socket.connectToServer();
        socket.onMessage((message) => {
          const { request_id, type } = JSON.parse(message);
          const fault = type === "chat" && faults.shift();
          if (!fault) server.send(message);
          else if (fault.close) socket.close({ code: 1011 });
          else socket.send(JSON.stringify({ request_id, ...fault.frame }));
        });
      });
    });
    await ask(page, "hello");
    for (const says of [/busy/, /lost on its way/, /connection broke/]) {
      const failure = last(page).locator(".failure");
      await failure.filter({ hasText: says }).waitFor();
      await picture(page, "failed");
      await failure.locator(".retry").click();
    }
    await done(page); // over a new connection
    assert.equal(await page.locator(".turn").count(), 1);
    await close();
  });

  test("keeps conversations apart, and copies and regenerates answers", async () => {
    const { page, wrong, close } = await open(await serve(1000), { permissions: ["clipboard-read", "clipboard-write"] });
    await ask(page, "Who wrote Monster?");
    await done(page);
    await last(page).locator(".copy").click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /Urasawa/);
    await page.locator("#models label", { hasText: "Haiku" }).click();
    await last(page).locator(".regenerate").click();
    await last(page).locator(".facts").filter({ hasText: "claude-3-haiku" }).waitFor();
    assert.equal(await page.locator(".turn").count(), 1);

    await page.locator("#new").click();
    assert.equal(await page.locator(".turn").count(), 0);
    await page.locator("#suggestions button", { hasText: english }).click();
    await done(page);
    await page.locator("#history").click();
    await picture(page, "shelf");
    await page.locator(".shelf-open", { hasText: "Monster" }).click();
    assert.match(await text(page), /Urasawa/);
    await page.locator("#language").click();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "ja");
    assert.match(await text(page), /Urasawa/);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("follows the answer until the reader scrolls up", async () => {
    const { page, close } = await open(await serve(60), { viewport: { width: 400, height: 480 } });
    const log = page.locator("#log");
    const below = () => log.evaluate((log) => log.scrollHeight - log.clientHeight - log.scrollTop);
    await ask(page, english);
    await page.waitForFunction(() => document.querySelector("#log").scrollTop > 80);
    assert.ok(await below() < 4);
    await log.hover();
    await page.mouse.wheel(0, -60);
    await page.locator("#jump:not([hidden])").waitFor();
    const top = await log.evaluate((log) => log.scrollTop);
    await done(page);
    assert.equal(await log.evaluate((log) => log.scrollTop), top, "the reader is left where they are");
    await page.locator("#jump").click();
    assert.ok(await below() < 4);
    await close();
  });
});

describe("the Markdown renderer", () => {
  // render renders a text in pieces of the given length, to HTML.
  const render = (page, text, length) => page.evaluate(async ([text, length]) => {
    const { Markdown } = await import("/markdown.js");
    const root = document.createElement("div");
    const markdown = new Markdown(root);
    for (let i = 0; i < text.length; i += length) markdown.write(text.slice(i, i + length));
    markdown.end();
    root.normalize();
    return root.innerHTML;
  }, [text, length]);

  const cases = [
    ["one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"],
    ["これは**太字**です。**「引用」**も。", "<p>これは<strong>太字</strong>です。<strong>「引用」</strong>も。</p>"],
    ["**bold *both*** and *em*", "<p><strong>bold <em>both</em></strong> and <em>em</em></p>"],
    ["2 * 3 * 4 **open", "<p>2 * 3 * 4 **open</p>"],
    ["a `co**de` b `open\nnext", "<p>a <code>co**de</code> b `open<br>next</p>"],
    ["# Title\ntext", "<h5>Title</h5><p>text</p>"],
    ["- a\n- b\n  - c\n- d\n\nend", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul><p>end</p>"],
    ["3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'],
    ["1. a\n\n   more\n\n2. b", "<ol><li>a<p>more</p></li><li>b</li></ol>"],
    ["```go\nx := `*a*`\n```\nafter", '<pre tabindex="0"><code>x := `*a*`\n</code></pre><p>after</p>'],
    ["```\nnever closed", '<pre tabindex="0"><code>never closed</code></pre>'],
    ["a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"],
    ["-5 and 1.5 and #tag", "<p>-5 and 1.5 and #tag</p>"],
    ["\\*no\\* C:\\dir", "<p>*no* C:\\dir</p>"],
    ["[a [note] b](", "<p>[a [note] b](</p>"],
    ["[shop](https://example.com/a?b)!", '<p><a href="https://example.com/a?b" rel="noopener noreferrer nofollow" target="_blank">shop<span class="host"> (example.com)</span></a>!</p>'],
    ["[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"],
    ["[x](http://example.com)", "<p>[x](http://example.com)</p>"],
    ["[bank](https://bank.example@evil.example/)", "<p>[bank](https://bank.example@evil.example/)</p>"],
    ["<img src=//evil.example/x onerror=alert(1)><script>alert(1)</script>", "<p>&lt;img src=//evil.example/x onerror=alert(1)&gt;&lt;script&gt;alert(1)&lt;/script&gt;</p>"],
    ["![x](https://evil.example/leak?q=1)", '<p>!<a href="https://evil.example/leak?q=1" rel="noopener noreferrer nofollow" target="_blank">x<span class="host"> (evil.example)</span></a></p>'],
  ];

  test("renders the same, however the text arrives", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    for (const [source, html] of cases) {
      for (const length of [1, 2, 3, 7, source.length]) {
        assert.equal(await render(page, source, length), html, `${JSON.stringify(source)} in pieces of ${length}`);
      }
    }
    assert.deepEqual(wrong, [], "no image was asked for, no script ran");
    await close();
  });

  test("never builds anything that loads or runs, and loses no letter", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    let seed = 1;
    const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
    const pieces = ["*", "**", "`", "```", "[", "](", ")", "https://a.example", "\n", "\n\n", "  ", "- ", "1. ", "# ", "\\", "漫", "a", "!", "<img src=x>", "---"];
    for (let i = 0; i < 300; i++) {
      const source = Array.from({ length: 40 }, () => pieces[random(pieces.length)]).join("");
      const [whole, single] = [await render(page, source, source.length), await render(page, source, 1)];
      assert.equal(single, whole, JSON.stringify(source));
      assert.match(whole, /^(<\/?(p|br|h5|h6|ul|li|ol|hr|pre|code|strong|em|a|span)\b[^<>]*>|[^<>]|&[lg]t;)*$/);
      if (!source.includes("```")) { // the line that opens a code block is not shown
        assert.equal(whole.split("漫").length, source.split("漫").length, JSON.stringify(source));
      }
    }
    assert.deepEqual(wrong, []);
    await close();
  });
});
