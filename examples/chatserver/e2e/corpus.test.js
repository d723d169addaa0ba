// Texts that attack a page, everywhere a text comes from: questions, answers, the input and
// the results of tools, the catalogue, the names of conversations, the results of jobs, the
// names of models. Nothing may come of them: no dialog, no request to another host, no
// script, no element that was not meant. The texts are in corpus.json; server is
// hostile/main.go.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { ask, done, last, open, picture } from "./browser.js";
import { hostile, openPage, watchFor } from "./pages.js";

const corpus = JSON.parse(readFileSync(new URL("corpus.json", import.meta.url)));

// What the pages are made of. Markdown adds links and nothing else that has an address.
const meant = new Set(("html head meta title link script body a header img h1 h2 h3 h4 h5 h6 span div nav button p ul ol li main section article form label textarea input " +
  "fieldset legend template dialog dl dt dd details summary code pre em strong del b i br hr blockquote table caption thead tbody tr th td figure figcaption time noscript small sup " +
  "svg path circle rect line text").split(" "));

// unmeant is what is in the document and should not be.
const unmeant = (page) => page.evaluate((meant) => {
  const wrong = [];
  const own = (element) => element.closest("head") !== null;
  for (const element of document.querySelectorAll("*")) {
    const name = element.localName;
    const say = (what) => wrong.push(`${what}: ${element.outerHTML.slice(0, 200)}`);
    if (!meant.includes(name)) say("element");
    if (["meta", "link", "script", "title"].includes(name) && !own(element)) say("element outside the head");
    if (name === "img" && element.getAttribute("src") !== "icon.svg") say("image");
    if (name === "form" && element.hasAttribute("action")) say("form");
    for (const { name: attribute, value } of element.attributes) {
      if (/^on/i.test(attribute)) say("handler");
      if (attribute === "style" && value === "") continue; // a picture that a test takes leaves it behind
      if (["style", "srcdoc", "srcset", "ping", "formaction", "background", "data", "poster", "action", "http-equiv", "xlink:href"].includes(attribute)) say("attribute");
      if (attribute === "src" && !own(element) && name !== "img") say("source");
      if (attribute === "href" && name === "a" && !["", "./", "ops", "jobs"].includes(value) && !value.startsWith("#")) {
        if (!/^(https?:\/\/|mailto:)/.test(value)) say("link");
        if (!/\bnoopener\b/.test(element.rel) || !/\bnoreferrer\b/.test(element.rel)) say("link without rel");
      }
    }
  }
  for (const id of new Set([...document.querySelectorAll("[id]")].map(({ id }) => id))) {
    if (document.querySelectorAll(`#${CSS.escape(id)}`).length > 1) wrong.push(`id twice: ${id}`);
  }
  if (document.querySelectorAll("script").length !== 1) wrong.push("script");
  if ("pwned" in globalThis || "pwned" in Object.prototype) wrong.push("a script ran");
  return wrong;
}, [...meant]);

// answered asks and waits for the answer, whatever was asked before.
async function answered(page, text) {
  const before = await page.locator(".turn").count();
  await ask(page, text);
  await page.locator(".turn").nth(before).waitFor();
  await done(page);
}

describe("texts that attack", () => {
  let url;
  before(async () => (url = await hostile()));

  test("the check sees what it looks for", async () => {
    const { page, close } = await openPage(url, "ops");
    for (const html of ["<iframe></iframe>", "<img src='https://evil.example/x'>", "<a href='javascript:1'>x</a>", "<a href='https://evil.example'>x</a>", "<p id=main>x</p>", "<p style='color:red'>x</p>"]) {
      const [tag] = html.match(/\w+/);
      await page.evaluate(([tag, html]) => {
        const element = document.createElement(tag);
        for (const [, name, value] of html.matchAll(/(\w+)='?([^'> ]*)'?/g)) element.setAttribute(name, value);
        element.id ||= "planted";
        document.body.append(element);
      }, [tag, html.replace(/^<\w+/, "")]);
      assert.notDeepEqual(await unmeant(page), [], html);
      await page.evaluate(() => document.body.lastElementChild.remove());
    }
    assert.deepEqual(await unmeant(page), []);
    await close();
  });

  test("as questions, answers and names of conversations", { timeout: 600_000 }, async () => {
    let wrong;
    const { page, close } = await open(url, {}, async (page) => (wrong = watchFor(page, url)));
    for (const [i, { name, text }] of corpus.entries()) {
      if (i % 12 === 0 && i > 0) await page.locator("#new").click();
      await answered(page, text);
      assert.deepEqual(await unmeant(page), [], name);
      assert.deepEqual(wrong, [], name);
    }
    await page.locator("#history").click();
    await page.locator(".shelf-open").first().waitFor();
    assert.deepEqual(await unmeant(page), [], "the shelf");
    await picture(page, "corpus-shelf");
    await page.reload(); // what was stored is shown again
    await last(page).waitFor();
    assert.deepEqual(await unmeant(page), [], "after a reload");
    assert.deepEqual(wrong, []);
    await picture(page, "corpus-answers");
    await close();
  });

  test("as names of conversations that a reader chose", async () => {
    let wrong;
    const { page, close } = await open(url, {}, async (page) => (wrong = watchFor(page, url)));
    for (const { name, text } of corpus.filter(({ text }) => text.length <= 200 && !/[\n\p{C}]/u.test(text)).slice(0, 12)) {
      await page.locator("#new").click();
      await answered(page, "hello");
      await page.locator("#history").click();
      await page.locator(".shelf-rename").first().click();
      await page.locator("#rename-input").fill(text);
      await page.locator("#rename .confirm").click();
      await page.locator("#rename").waitFor({ state: "hidden" });
      assert.deepEqual(await unmeant(page), [], name);
      await page.keyboard.press("Escape");
    }
    assert.deepEqual(wrong, []);
    await close();
  });

  test("as the input and the results of tools", { timeout: 600_000 }, async () => {
    let wrong;
    const { page, close } = await open(url, {}, async (page) => (wrong = watchFor(page, url)));
    for (const [i, { name }] of corpus.entries()) {
      if (i % 12 === 0 && i > 0) await page.locator("#new").click();
      await answered(page, `tool ${i}`);
      await last(page).locator("details.tool summary").first().click();
      assert.deepEqual(await unmeant(page), [], name);
    }
    assert.match(await page.locator(".tool-result").last().innerText(), /MNG-HOST/);
    assert.deepEqual(wrong, []);
    await picture(page, "corpus-tools");
    await close();
  });

  test("as the catalogue, and as results of jobs", { timeout: 600_000 }, async () => {
    const { page, wrong, close } = await openPage(url, "jobs");
    await page.locator("#found li").first().waitFor();
    for (const language of ["en", "ja"]) {
      assert.equal(await page.evaluate(() => document.documentElement.lang), language);
      for (const { name, text } of corpus.filter((_, i) => i % 6 === 0)) { // the list has 20 at a time
        await page.locator("#search").fill(text.slice(0, 60));
        await page.waitForTimeout(260);
        assert.deepEqual(await unmeant(page), [], name);
      }
      await page.locator("#language").click();
    }
    await page.locator("#search").fill("");
    await page.locator("#found-count", { hasText: /shown/ }).waitFor();
    for (const input of await page.locator("#found input").all()) await input.check();
    await page.locator("#types label", { hasText: /^All of it$/ }).click();
    await page.locator("#submit").click();
    await page.locator(".batch .mark[data-state=completed]").nth(19).waitFor({ timeout: 60_000 });
    for (const button of await page.locator(".batch .plain:visible").all()) await button.click();
    await page.locator(".finding:visible dl").nth(19).waitFor();
    assert.deepEqual(await unmeant(page), [], "results");
    await picture(page, "corpus-jobs");
    await page.locator("#language").click();
    assert.deepEqual(await unmeant(page), [], "results in Japanese");
    assert.deepEqual(wrong, []);
    await close();
  });

  test("as all that the server says of jobs and operations", async () => {
    // The server would not say these things: a page does not rely on that.
    const say = (i) => corpus[i % corpus.length].text;
    const { page, wrong, close } = await openPage(url, "ops", {}, async (page) => {
      await page.route("**/v1/ops*", async (route) => {
        const response = await route.fetch();
        const report = await response.json();
        for (const point of [report.total, ...report.points]) {
          for (let i = 0; i < corpus.length; i++) {
            point.cost_usd[say(i)] = "0.001";
            point.error_kinds = { ...point.error_kinds, [say(i)]: 1 };
          }
        }
        await route.fulfill({ response, json: report });
      });
      await page.route("**/v1/manga/jobs/events*", (route) => route.fulfill({
        contentType: "text/event-stream",
        body: corpus.map(({ text }, i) => `event: job\ndata: ${JSON.stringify({
          request_id: text, batch_id: say(i + 1), analysis_type: text, manga_id: text, title: text, priority: text,
          status: ["queued", "failed", text][i % 3], created_at: 1, attempts: 1, cost_usd: text, error: text,
        })}\n\n`).join(""),
      }));
    });
    await page.locator(".legend li").nth(corpus.length).waitFor();
    for (const summary of await page.locator(".numbers summary").all()) await summary.click();
    assert.deepEqual(await unmeant(page), [], "operations");
    await picture(page, "corpus-ops");
    await page.goto(`${url}jobs`);
    await page.locator(".batch").nth(20).waitFor();
    assert.deepEqual(await unmeant(page), [], "jobs");
    assert.deepEqual(wrong, []);
    await close();
  });
});
