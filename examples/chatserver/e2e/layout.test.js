// How the page looks and behaves on small screens, in the dark, offline.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessible, ask, done, japanese, last, open, openTab, picture, serve } from "./browser.js";

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

// small are the targets of a finger that are smaller than 44 by 44 pixels. Links in
// sentences may be smaller.
const small = (page) => page.evaluate(() => [...document.querySelectorAll("button, label:has(input), summary, textarea, input:not(label input)")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }) && element.closest(".prose label, .unseen") === null)
  .map((element) => [element.id || element.className || element.textContent, element.getBoundingClientRect()])
  .filter(([, { width, height }]) => width > 0 && (width < 43.9 || height < 43.9))
  .map(([name, { width, height }]) => `${name}: ${width} × ${height}`));

describe("the layout", () => {
  for (const locale of ["en-US", "ja-JP"]) {
    for (const colorScheme of ["light", "dark"]) {
      test(`fits a phone and a finger, ${locale}, ${colorScheme}`, async () => {
        const { page, wrong, close } = await open(await serve(1000), { ...phone, locale, colorScheme });
        const check = async (view) => {
          await picture(page, `phone-${view}-${locale}-${colorScheme}`);
          assert.deepEqual(await small(page), [], view);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${view}: no scrolling sideways`);
          await accessible(page, `${view}, ${locale}, ${colorScheme}`);
        };
        await check("welcome");
        await ask(page, japanese);
        await done(page);
        await check("answer");
        await last(page).locator("summary").first().click();
        await last(page).locator(".edit").click();
        await last(page).locator(".editor").scrollIntoViewIfNeeded();
        await check("editor");
        await page.locator("#model").click();
        await check("models");
        await page.keyboard.press("Escape");
        await page.locator("#history").click();
        await check("shelf");
        await page.locator(".shelf-rename").click();
        await check("rename");
        await page.keyboard.press("Escape");
        await page.locator(".shelf-remove").click();
        await check("delete");
        assert.deepEqual(wrong, []);
        await close();
      });
    }
  }

  for (const [name, options] of [["wide", {}], ["phone", phone], ["wide, Japanese", { locale: "ja-JP" }], ["phone, Japanese", { ...phone, locale: "ja-JP" }]]) {
    test(`has tokens and cost in one line, ${name}`, async () => {
      const { page, close } = await open(await serve(1000), options);
      await ask(page, japanese);
      await done(page);
      const facts = last(page).locator(".facts");
      const tops = await facts.locator("dd").evaluateAll((all) => all.map((fact) => Math.round(fact.getBoundingClientRect().top)));
      assert.equal(new Set(tops).size, 1, String(tops));
      assert.equal(tops.length, 4);
      assert.ok(await facts.evaluate((list) => list.scrollWidth <= list.clientWidth), "all of it is in sight");
      await close();
    });
  }

  test("closes the notice, and remembers it", async () => {
    const url = await serve(1000);
    const { page, wrong, context, close } = await open(url);
    await page.locator("#notice-close").click();
    assert.equal(await page.locator("#notice").isHidden(), true);
    const again = await openTab(context, url, wrong);
    await again.locator("#model", { hasText: "Sonnet" }).waitFor();
    await again.waitForLoadState("networkidle");
    assert.equal(await again.locator("#notice").isHidden(), true);
    await again.locator("#language").click();
    assert.equal(await again.locator("#notice").isHidden(), true, "in every language");
    await close();
  });

  test("says that the device is offline, and that it is not any more", async () => {
    const { page, context, close } = await open(await serve(1000));
    await context.setOffline(true);
    await page.locator("#lost:not([hidden])", { hasText: "device is offline" }).waitFor();
    await picture(page, "offline");
    await accessible(page, "offline");
    await page.locator("#language").click();
    await page.locator("#lost", { hasText: "オフライン" }).waitFor();
    await context.setOffline(false);
    await page.locator("#lost[hidden]").waitFor({ state: "attached" });
    await ask(page, "こんにちは");
    await done(page);
    await close();
  });

  test("leaves no stale message", async () => {
    const { page, close } = await open(await serve(40));
    await ask(page, japanese);
    await last(page).locator(".prose").first().waitFor();
    await ask(page, "and another");
    await page.locator("#problem", { hasText: "on its way" }).waitFor();
    assert.equal(await page.locator("#question").inputValue(), "and another", "the question is kept");
    await page.locator("#stop").click();
    await done(page);
    assert.equal(await page.locator("#problem").innerText(), "");
    await close();
  });

  test("moves nothing for those who want no motion", async () => {
    const { page, close } = await open(await serve(60), { reducedMotion: "reduce" });
    await ask(page, japanese);
    await last(page).locator(".prose").first().waitFor();
    assert.deepEqual(await page.evaluate(() => document.getAnimations().map(({ animationName }) => animationName)), []);
    await close();
  });
});
