// The jobs page, in a headless Chromium.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessible, picture, serve } from "./browser.js";
import { hostile, openPage, sideways, tooSmall } from "./pages.js";

const batch = (page) => page.locator(".batch").first();
const bar = (page) => batch(page).getByRole("progressbar");
const ended = (page) => batch(page).locator(".mark[data-state=queued], .mark[data-state=processing]").first().waitFor({ state: "detached", timeout: 30_000 });

async function choose(page, text, title) {
  await page.locator("#search").fill(text);
  await page.locator("#found label", { hasText: title }).locator("input").check();
}

describe("the jobs page", () => {
  test("submits a batch from the catalogue, and shows its results and what it cost", async () => {
    const { page, wrong, close } = await openPage(await serve(1000), "jobs");
    assert.match(await page.locator("#found-count").innerText(), /^3\d\d found, the first 20 shown\.$/);
    assert.match(await page.locator("#no-batches").innerText(), /no batches yet/);
    await page.locator("#submit").click();
    await page.locator("#order-problem", { hasText: "Choose at least one" }).waitFor();

    await choose(page, "one p", "One Piece");
    await choose(page, "浦沢", "Monster");
    await choose(page, "horror", "Uzumaki");
    assert.equal(await page.locator("#chosen li").count(), 3);
    await page.getByRole("button", { name: "Remove Monster" }).click();
    assert.equal(await page.locator("#chosen li").count(), 2);
    await page.locator("#types label", { hasText: /^All of it$/ }).click();
    await page.locator("#priorities label", { hasText: "High" }).click();
    await page.locator("#context").fill("For readers of twelve.");
    await picture(page, "jobs-order");
    await page.getByRole("button", { name: "Analyse 2 manga" }).click();

    await batch(page).waitFor();
    await page.locator("#announcer", { hasText: /2 analyses were submitted|2 completed/ }).waitFor();
    assert.equal(await page.locator("#chosen li").count(), 0);
    await ended(page);
    assert.match(await batch(page).locator("h4").innerText(), /2 × All of it/);
    assert.match(await batch(page).innerText(), /Priority: High/);
    assert.equal(await bar(page).getAttribute("aria-valuenow"), "2");
    assert.equal(await bar(page).getAttribute("aria-valuemax"), "2");
    assert.equal(await bar(page).getAttribute("aria-valuetext"), "2 of 2 completed");
    assert.match(await batch(page).locator(".batch-cost").innerText(), /^\$0\.0*[1-9]/);
    await page.locator("#announcer", { hasText: "2 completed, 0 failed" }).waitFor();

    const show = page.getByRole("button", { name: "Show the result of One Piece" });
    await show.click();
    const finding = batch(page).locator(".finding:visible");
    await finding.locator("dt", { hasText: "Genres" }).first().waitFor();
    assert.match(await finding.innerText(), /pirates/);
    assert.match(await finding.locator("[lang=ja]").first().innerText(), /[ぁ-ん]/);
    await picture(page, "jobs-result");
    await page.getByRole("button", { name: "Hide the result of One Piece" }).click();
    assert.equal(await batch(page).locator(".finding:visible").count(), 0);

    await page.reload(); // the server knows the batches
    await batch(page).waitFor();
    assert.match(await batch(page).locator("h4").innerText(), /2 × All of it/);
    await page.locator("#language").click();
    assert.match(await batch(page).locator("h4").innerText(), /すべて × 2/);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("shows how far a batch is, while it is worked on", async () => {
    const url = await hostile("-slow", "700ms");
    const { page, close } = await openPage(url, "jobs", { colorScheme: "dark" });
    for (let i = 0; i < 12; i++) await page.locator("#found input").nth(i).check();
    await page.locator("#submit").click();
    await batch(page).waitFor();
    const seen = new Set();
    for (let i = 0; i < 100; i++) {
      const now = Number(await bar(page).getAttribute("aria-valuenow"));
      if (now > 0 && now < 12 && !seen.has(now)) await picture(page, "jobs-progress");
      seen.add(now);
      if (now === 12) break;
      await page.waitForTimeout(100);
    }
    // The first look may come after the first end.
    assert.ok(seen.has(12) && [...seen].some((now) => now > 0 && now < 12), [...seen].join());
    await close();
  });

  test("says why an analysis failed, and tries it again", async () => {
    const url = await hostile();
    const { page, close } = await openPage(url, "jobs");
    for (let i = 0; i < 2; i++) await page.locator("#found input").nth(i).check();
    await page.locator("#context").fill("fail once 1");
    await page.locator("#submit").click();
    await batch(page).waitFor();
    await ended(page);
    assert.match(await batch(page).locator(".batch-state").innerText(), /0 of 2 completed, 2 failed/);
    assert.match(await batch(page).locator(".why").first().innerText(), /cannot take this analysis/);
    await picture(page, "jobs-failed");
    await accessible(page, "failed");
    await batch(page).getByRole("button", { name: /^Try .* again$/ }).first().click(); // all of them
    await page.locator(".batch").nth(1).waitFor();
    await ended(page);
    assert.match(await batch(page).locator(".batch-state").innerText(), /^2 of 2 completed$/);
    assert.equal(await batch(page).locator(".why:not(:empty)").count(), 0);
    await close();
  });

  test("works with the keyboard alone", async () => {
    const { page, wrong, close } = await openPage(await serve(1000), "jobs");
    await page.locator("#found li").first().waitFor();
    await page.locator("#search").focus();
    await page.keyboard.type("naruto");
    await page.locator("#found-count", { hasText: /^1 found/ }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Space");
    assert.equal(await page.locator("#chosen li").count(), 1);
    await page.keyboard.press("Tab"); // remove it
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#chosen li").count(), 0);
    assert.equal(await page.evaluate(() => document.activeElement.id), "search", "the focus is not lost");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Space");
    await page.locator("input[name=type]:checked").focus();
    await page.keyboard.press("ArrowRight");
    await page.locator("#submit").focus();
    await page.keyboard.press("Enter");
    await batch(page).waitFor();
    assert.match(await batch(page).locator("h4").innerText(), /1 × Summary/);
    await ended(page);
    await page.getByRole("button", { name: "Show the result of Naruto" }).focus();
    await page.keyboard.press("Enter");
    await batch(page).locator(".finding dt:visible").first().waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.ariaExpanded), "true");
    assert.deepEqual(wrong, []);
    await close();
  });

  test("gets on when the server stops and comes back", async () => {
    const { page, close } = await openPage(await serve(1000), "jobs", {}, async (page) => {
      let fail = 2;
      await page.route("**/v1/manga/jobs/events*", (route) => (fail-- > 0 ? route.fulfill({ status: 503, body: "{}" }) : route.continue()));
    });
    await page.locator("#trouble", { hasText: "The server failed" }).waitFor();
    await page.waitForFunction(() => document.querySelector("#trouble").textContent === "", undefined, { timeout: 15_000 });
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
      const { page, wrong, close } = await openPage(url, "jobs", options);
      await page.locator("#found li").first().waitFor();
      await accessible(page, `empty, ${name}`);
      for (let i = 0; i < 3; i++) await page.locator("#found input").nth(i).check();
      await accessible(page, `chosen, ${name}`);
      assert.deepEqual(await tooSmall(page), []);
      await page.locator("#submit").click();
      await batch(page).waitFor();
      await ended(page);
      await batch(page).locator(".plain:visible").first().click();
      await batch(page).locator(".finding:visible dt").first().waitFor();
      await accessible(page, `results, ${name}`);
      assert.equal(await sideways(page), 0);
      assert.deepEqual(await tooSmall(page), []);
      if (options.reducedMotion) {
        await page.evaluate(() => document.querySelector(".bar svg rect").setAttribute("class", "bar-processing"));
        assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector(".bar-processing")).animationName), "none");
      }
      await picture(page, `jobs-${name}`);
      assert.deepEqual(wrong, []);
      await close();
    });
  }
});
