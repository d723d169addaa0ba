// The menu of models, and the reason of a choice.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessible, ask, connected, done, last, open, picture, says, serve } from "./browser.js";

describe("the menu of models", () => {
  test("has prices, works with the keyboard and is remembered", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    await page.locator("#model").focus();
    await page.keyboard.press("Enter");
    await page.locator("#models:popover-open").waitFor();
    assert.match(await page.locator(".model-option", { hasText: "Sonnet" }).innerText(), /\$3\.30 in, \$16\.50 out/);
    assert.match(await page.locator(".model-option", { hasText: "Haiku" }).innerText(), /\$1\.10 in, \$5\.50 out/);
    await accessible(page, "menu");
    await picture(page, "models");
    await page.keyboard.press("ArrowDown"); // from Sonnet to Automatic
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#models:popover-open").count(), 0);
    assert.equal(await page.locator("#model").getAttribute("aria-label"), "Model: Automatic");
    await page.reload();
    await connected(page);
    await page.locator("#model", { hasText: "Automatic" }).waitFor();

    await ask(page, "Compare Monster and Pluto");
    await done(page);
    assert.match(await last(page).locator(".reason").innerText(), /^Sonnet answers, because .*comparison/);
    await page.locator("#language").click();
    await page.locator("#model", { hasText: "自動" }).waitFor();
    await ask(page, "注文 ORD-MANGA001 の状況は？");
    await done(page);
    assert.match(await last(page).locator(".reason").innerText(), /Haiku が答えます/);
    assert.equal(await last(page).locator(".reason").getAttribute("lang"), "ja");
    assert.match(await last(page).locator(".facts").innerText(), /haiku/);
    await picture(page, "reason");
    await page.locator("#model").click();
    await picture(page, "models-ja");
    await accessible(page, "menu in Japanese");
    assert.deepEqual(wrong, []);
    await close();
  });

  test("works with a server that knows no prices and gives no reason", async () => {
    const { page, close } = await open(await serve(1000), {}, async (page) => {
      await page.route(/\/v1\/info$/, (route) => route.fulfill({ json: { backend: "offline", models: [{ name: "sonnet", id: "x.claude-y" }, { name: "other" }], max_question_characters: 4000, needs_key: false } }));
      await says("fine")(page);
    });
    await page.locator("#model").click();
    assert.match(await page.locator(".model-option", { hasText: "Sonnet" }).innerText(), /price is not known/);
    assert.equal(await page.locator(".model-option", { hasText: "other" }).count(), 1);
    await page.keyboard.press("Escape");
    await ask(page, "hello");
    await done(page);
    assert.equal(await last(page).locator(".reason").isHidden(), true);
    await close();
  });
});
