// Types questions into the page of the chat server, in a headless Chromium.
//
//   npm ci && npm test
//
// CHROMIUM is the browser (default /usr/bin/chromium), CHATSERVER_URL a server
// that runs already, SCREENSHOTS a folder for pictures of what was seen.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
// console, and requests to other hosts.
async function open(url, options = {}) {
  const context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) wrong.push(request.url());
  });
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
    await close();
  });
});
