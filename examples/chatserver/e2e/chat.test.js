// Types questions into the page of the chat server, in a headless Chromium.
//
//   npm ci && npm test
//
// browser.js has the variables of the environment.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { accessible, ask, browser, connected, done, english, frames, grows, japanese, last, open, picture, program, serve, servers, temp, text } from "./browser.js";

describe("the page", () => {
  for (const [name, question, expected] of [["japanese", japanese, /[ぁ-んァ-ヶ一-龠]{4}/], ["english", english, /seinen/i]]) {
    test(`answers in ${name}, token by token, with its tools and its cost`, async () => {
      const { page, wrong, close } = await open(await serve(60));
      await ask(page, question);
      // Tokens arrive: the text grows while the log is busy.
      await last(page).locator(".prose").first().waitFor();
      assert.equal(await page.locator("#log").getAttribute("aria-busy"), "true");
      await grows(page);
      assert.equal(await last(page).locator(".waiting").isHidden(), true, "text arrives: nobody waits");
      await picture(page, `${name}-streaming`);
      await done(page);
      assert.equal(await page.locator("#log").getAttribute("aria-busy"), "false");
      assert.match(await text(page), expected);
      assert.match(await last(page).locator(".cost dd").innerText(), /^\$0\.0*[1-9]/);
      assert.match(await last(page).locator(".facts").innerText(), /claude-sonnet-4-6/);

      const tool = last(page).locator("details.tool").first();
      assert.match(await tool.innerText(), /search_manga_catalog/);
      assert.match(await tool.locator(".tool-gist").innerText(), /at most \d+/);
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
    await connected(page);
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
    assert.match(await last(page).locator(".tool-gist").first().innerText(), /最大\d+件/, "the look-up in the page's language");
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
    assert.equal(await page.locator("#notice-text").getAttribute("lang"), "ja");
    await close();
  });

  test("breaks no rule of accessibility that a program can check", async () => {
    const url = await serve(1000);
    for (const colorScheme of ["light", "dark"]) {
      const { page, wrong, close } = await open(url, { colorScheme });
      await accessible(page, `welcome, ${colorScheme}`);
      await ask(page, japanese);
      await done(page);
      await last(page).locator("details.tool summary").first().click();
      await accessible(page, `answer, ${colorScheme}`);
      assert.equal(await last(page).locator(".parts").getAttribute("lang"), "ja");
      await page.locator("#question").fill("漫".repeat(4001));
      await page.locator("#history").click();
      await accessible(page, `error and shelf, ${colorScheme}`);
      assert.deepEqual(wrong, []);
      await close();
    }
  });

  test("reads on after a reload and a lost connection, and asks once", async () => {
    const sent = [];
    let cut = () => {};
    const { page, wrong, close } = await open(await serve(40), {}, async (page) => {
      await frames(page, ({ type }, socket, server) => {
        sent.push(type);
        cut = () => Promise.all([socket.close({ code: 1011 }), server.close()]);
      });
    });
    await ask(page, english);
    await grows(page);
    await page.reload();
    await grows(page);
    await picture(page, "resumed");
    await cut();
    await grows(page);
    await page.locator("#new").click(); // another conversation stops nothing
    await page.locator("#history").click();
    await page.locator(".shelf-open").first().click();
    await done(page);
    const broken = await text(page);
    assert.equal(await page.locator(".failure:visible").count(), 0);
    assert.deepEqual(sent.filter((type) => type === "chat").length, 1, sent.join());
    assert.equal(sent.filter((type) => type === "resume").length, 2, sent.join());
    await last(page).locator(".regenerate").click();
    await done(page);
    assert.equal(await text(page), broken, "every piece once, in order");
    assert.deepEqual(wrong.filter((line) => !line.includes("WebSocket")), []);
    await close();
  });

  test("asks for the key of a server that needs one", async () => {
    if (process.env.CHATSERVER_URL) return;
    const file = join(temp, "keys.json");
    const key = execFileSync(program, ["keys", "add", "-file", file, "reader"], { stdio: ["ignore", "pipe", "ignore"] }).toString().trim();
    const url = await serve(1000, "127.0.0.1:0", "-keys", file);
    const context = await browser.newContext({ locale: "en-US" });
    const page = await context.newPage();
    await page.goto(url);
    await page.locator("#key-input").fill("mak_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAA");
    await page.locator("#key-input").press("Enter");
    await page.locator("#key-problem", { hasText: "does not know" }).waitFor();
    await picture(page, "key");
    await accessible(page, "key");
    await page.locator("#key-input").fill(key);
    await page.locator("#key-input").press("Enter");
    await connected(page);
    await ask(page, "Who wrote Monster?");
    await done(page);
    await page.reload(); // the tab knows the key
    await connected(page);
    const refused = await fetch(`${url}v1/manga/query`, { method: "POST", body: '{"query":"hi"}' });
    assert.equal(refused.status, 401);
    await context.close();
  });

  test("keeps what came of an answer whose server is gone, and asks again when told to", async () => {
    if (process.env.CHATSERVER_URL) return;
    const url = await serve(40);
    const { page, close } = await open(url);
    await ask(page, english);
    await last(page).locator(".prose").first().waitFor();
    const kept = (await text(page)).slice(0, 20);
    servers.at(-1).kill("SIGKILL");
    await serve(1000, new URL(url).host);
    const failure = last(page).locator(".failure");
    await failure.filter({ hasText: /not there any more/ }).waitFor({ timeout: 60_000 });
    assert.ok((await text(page)).startsWith(kept), "the beginning stays");
    await picture(page, "gone");
    await failure.locator(".retry").click();
    await done(page);
    await close();
  });

  test("says in place what went wrong, and tries again", async () => {
    const faults = [
      { frame: { type: "error", code: "busy", message: "Busy.", retryable: true } },
      { close: true },
    ];
    const { page, close } = await open(await serve(1000), {}, async (page) => {
      await frames(page, ({ request_id, type }, socket) => {
        const fault = type === "chat" && faults.shift();
        if (!fault) return undefined;
        if (fault.close) socket.close({ code: 1011 });
        return fault.close ? [] : [{ request_id, ...fault.frame }];
      });
    });
    await ask(page, "hello");
    for (const says of [/busy/, /connection broke/]) {
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
    await page.locator("#model").click();
    await page.locator("#models label", { hasText: "Haiku" }).click();
    await last(page).locator(".regenerate").click();
    await last(page).locator(".facts").filter({ hasText: "claude-haiku-4-5" }).waitFor();
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
    await page.waitForFunction(() => {
      const log = document.querySelector("#log");
      return log.scrollTop > 80 && log.scrollHeight - log.clientHeight - log.scrollTop < 4; // a frame may come between text and scrolling
    });
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
