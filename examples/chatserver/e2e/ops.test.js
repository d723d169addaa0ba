// The operations page, in a headless Chromium.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { accessible, picture, program, serve, servers, temp } from "./browser.js";
import { openPage, post, sideways, tooSmall } from "./pages.js";

// busy asks a few questions and submits a batch, so that there is something to see.
async function busy(url) {
  for (const [query, model] of [["Who wrote Monster?", "haiku"], ["What are the best seinen manga from 2023?", "sonnet"], ["Who wrote Monster?", "haiku"]]) {
    const response = await fetch(`${url}v1/manga/query`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
      body: JSON.stringify({ query, model }),
    });
    await response.text();
  }
  const { request_ids: [id] } = await post(url, "v1/manga/batch", { items: [{ manga_id: "MNG-ONEPIECE", analysis_type: "full_enrichment" }], priority: "high" });
  for (let i = 0; i < 200; i++) {
    const { status } = await (await fetch(`${url}v1/manga/status/${id}`)).json();
    if (status === "completed") return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the analysis has not ended");
}

const tile = (page, name) => page.locator("#tiles > div", { has: page.locator("dt", { hasText: name }) }).locator(".tile-value");
const chart = (page, name) => page.locator(".chart", { has: page.locator(".chart-title", { hasText: name }) });
const drawn = (page) => page.locator(".chart .plot .base").first().waitFor({ state: "attached" });

describe("the operations page", () => {
  test("shows calls, times, tokens, dollars, the cache and the jobs, each with its numbers", async () => {
    const url = await serve(1000);
    await busy(url);
    const { page, wrong, close } = await openPage(url, "ops");
    await drawn(page);
    await picture(page, "ops");
    assert.match(await tile(page, "Calls").innerText(), /^\d+$/);
    assert.match(await tile(page, "First token").innerText(), /m?s$/);
    assert.match(await tile(page, "Spent").innerText(), /^\$0\.0*[1-9]/);
    assert.match(await tile(page, "Saved by caches").innerText(), /^\$0\.0*[1-9]/, "the same question again cost nothing");

    assert.equal(await page.locator(".chart").count(), 12);
    for (const name of ["first token", "Time of a call"]) assert.ok((await chart(page, name).locator("path.line, circle").count()) > 2, name);
    assert.ok((await chart(page, "Dollars").locator(".plot rect").count()) > 0);
    assert.match(await chart(page, "Dollars").locator(".legend").innerText(), /claude-haiku-4-5[\s\S]*claude-sonnet-4-6|claude-sonnet-4-6[\s\S]*claude-haiku-4-5/);
    assert.match(await chart(page, "Tokens").locator(".chart-gist").innerText(), /[1-9][\d,]* in, [1-9][\d,]* out/);
    assert.match(await chart(page, "Jobs that ended").locator(".chart-gist").innerText(), /[1-9] completed, 0 failed/);
    assert.match(await chart(page, "Throttles").locator("svg[role=img]").getAttribute("aria-label"), /every request at once/);

    // The table beside a chart has the chart's numbers.
    const dollars = chart(page, "Dollars");
    await dollars.locator("summary").click();
    const rows = await dollars.locator("tbody tr").allInnerTexts();
    assert.ok(rows.length > 0);
    assert.match(rows.join("\n"), /\d\d:\d\d:\d\d\s+\$0\./);
    assert.equal(await dollars.locator("thead th[scope=col]").count(), 3);

    // Under the pointer the legend has the values of one time.
    await chart(page, "Calls of models").locator("svg[role=img]").hover({ position: { x: 300, y: 60 } });
    assert.match(await chart(page, "Calls of models").locator(".legend-time").innerText(), /^\d\d:\d\d/);

    await page.locator("#span label", { hasText: "1 hour" }).click();
    await page.waitForFunction(() => /^\d\d:\d0$/.test([...document.querySelectorAll(".chart .plot text")].at(-1)?.textContent ?? "00:00"));
    assert.match(await tile(page, "Calls").innerText(), /^[1-9]/);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("goes on by itself, stops when it is told to and when nobody looks", async () => {
    const url = await serve(1000);
    let asked = 0;
    const { page, wrong, close } = await openPage(url, "ops", {}, async (page) => {
      page.on("request", (request) => request.url().includes("/v1/ops") && asked++);
      await page.clock.install();
    });
    await drawn(page);
    assert.equal(await tile(page, "Calls").innerText(), "0");
    await busy(url);
    await page.clock.runFor(5000);
    await tile(page, "Calls").filter({ hasText: /^[1-9]/ }).waitFor();

    const steady = async (why) => {
      const before = asked;
      await page.clock.runFor(30_000);
      await page.waitForTimeout(200);
      assert.equal(asked, before, why);
    };
    const pause = page.locator("#pause");
    await pause.focus();
    await page.keyboard.press("Space");
    assert.equal(await pause.getAttribute("aria-pressed"), "true");
    await steady("it is paused");
    await page.keyboard.press("Space");
    await page.clock.runFor(100);

    const visible = (state) => page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
    await page.waitForTimeout(200);
    await visible("hidden");
    await steady("nobody looks");
    const before = asked;
    await visible("visible");
    for (let i = 0; i < 100 && asked === before; i++) await page.waitForTimeout(50);
    assert.ok(asked > before, "somebody looks again");
    assert.deepEqual(wrong, []);
    await close();
  });

  test("works with the keyboard, and says where it is", async () => {
    const url = await serve(1000);
    const { page, close } = await openPage(url, "ops");
    await drawn(page);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    assert.equal(await page.locator("nav [aria-current=page]").innerText(), "Ops");
    await page.locator("input[name=span]:checked").focus();
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.locator("input[name=span]:checked").getAttribute("value"), "1h");
    await page.locator(".numbers summary").first().focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab"); // the table can be scrolled
    assert.equal(await page.evaluate(() => document.activeElement.className), "numbers-scroll");
    await close();
  });

  test("says that the server is gone, and goes on when it is back", async () => {
    if (process.env.CHATSERVER_URL) return;
    const url = await serve(1000);
    const { page, close } = await openPage(url, "ops");
    await drawn(page);
    servers.at(-1).kill("SIGKILL");
    await page.locator("#trouble", { hasText: "cannot be reached" }).waitFor();
    await picture(page, "ops-gone");
    await accessible(page, "the server is gone");
    await serve(1000, new URL(url).host);
    await page.waitForFunction(() => document.querySelector("#trouble").textContent === "");
    await close();
  });

  test("asks for the key of a server that needs one", async () => {
    if (process.env.CHATSERVER_URL) return;
    const file = join(temp, "ops-keys.json");
    const key = execFileSync(program, ["keys", "add", "-file", file, "operator"], { stdio: ["ignore", "pipe", "ignore"] }).toString().trim();
    const url = await serve(1000, "127.0.0.1:0", "-keys", file);
    const { page, close } = await openPage(url, "ops");
    await page.locator("#key-input").fill("mak_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAA");
    await page.locator("#key-input").press("Enter");
    await page.locator("#key-problem", { hasText: "does not know" }).waitFor();
    await picture(page, "ops-key");
    await accessible(page, "the key");
    await page.locator("#key-input").fill(key);
    await page.locator("#key-input").press("Enter");
    await drawn(page);
    await page.goto(`${url}jobs`); // the tab knows the key
    await page.locator("#found li").first().waitFor();
    assert.equal((await fetch(`${url}metrics`)).status, 401);
    assert.equal((await fetch(`${url}metrics`, { headers: { Authorization: `Bearer ${key}` } })).status, 200);
    await close();
  });

  for (const [name, options] of [
    ["light", {}],
    ["dark", { colorScheme: "dark" }],
    ["a phone, dark, in Japanese", { colorScheme: "dark", locale: "ja-JP", viewport: { width: 390, height: 844 }, reducedMotion: "reduce" }],
    ["a small phone", { viewport: { width: 320, height: 568 } }],
  ]) {
    test(`breaks no rule of accessibility that a program can check: ${name}`, async () => {
      const url = await serve(1000);
      const { page, wrong, close } = await openPage(url, "ops", options);
      await drawn(page);
      await accessible(page, `empty, ${name}`);
      await busy(url);
      await page.reload();
      await page.locator(".chart .plot rect").first().waitFor();
      for (const summary of await page.locator(".numbers summary").all()) await summary.click();
      await accessible(page, `with all numbers, ${name}`);
      assert.equal(await sideways(page), 0);
      assert.deepEqual(await tooSmall(page), []);
      await picture(page, `ops-${name}`);
      if (options.locale) {
        assert.equal(await page.evaluate(() => document.documentElement.lang), "ja");
        assert.doesNotMatch(await page.locator("main").innerText(), /\b(calls|tokens|undefined|numbers)\b/i);
      }
      assert.deepEqual(wrong, []);
      await close();
    });
  }
});
