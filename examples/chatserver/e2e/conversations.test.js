// Conversations: their addresses, their list, and two tabs.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessible, ask, connected, done, english, frames, grows, last, open, openTab, picture, serve, servers, text } from "./browser.js";

const shelf = async (page) => {
  await page.locator("#history").click();
  await page.locator("#conversations[open]").waitFor();
};
const names = (page) => page.locator(".shelf-name").allInnerTexts();

describe("a conversation", () => {
  test("has an address, and outlives tab and server", async () => {
    const url = await serve(1000);
    const { page, wrong, context, close } = await open(url);
    assert.doesNotMatch(page.url(), /#\/c\//);
    await ask(page, "Who wrote Monster?");
    await done(page);
    const address = page.url();
    assert.match(address, /#\/c\/[\w-]{36}$/);
    assert.equal(await page.title(), "Who wrote Monster? · MangaAssist");
    await page.locator("#new").click();
    assert.equal(await page.locator(".turn").count(), 0);
    await ask(page, "hello");
    await done(page);
    await page.goBack();
    await page.locator(".turn", { hasText: "Monster" }).waitFor();
    assert.equal(page.url(), address);
    await page.close();

    if (!process.env.CHATSERVER_URL) {
      servers.at(-1).kill("SIGKILL");
      await serve(1000, new URL(url).host);
    }
    const again = await openTab(context, address, wrong);
    assert.match(await text(again), /Urasawa/);
    await ask(again, "How many volumes does it have?");
    await done(again);
    assert.match(await text(again), /18/);
    await shelf(again);
    assert.deepEqual(await names(again), ["Who wrote Monster?", "hello"], "the last one that was asked is the first");
    assert.deepEqual(wrong, []);
    await close();
  });

  test("is renamed and deleted with the keyboard, after a question", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    for (const question of ["hello", "Who wrote Monster?"]) {
      await page.locator("#new").click();
      await ask(page, question);
      await done(page);
    }
    await page.locator("#history").focus();
    await page.keyboard.press("Enter");
    await page.locator("#conversations[open]").waitFor();
    await accessible(page, "shelf");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "Rename “Who wrote Monster?”");
    await page.keyboard.press("Enter");
    await page.locator("#rename[open]").waitFor();
    await accessible(page, "rename");
    await picture(page, "rename");
    await page.keyboard.type("Urasawa’s thriller");
    await page.keyboard.press("Enter");
    await page.locator(".shelf-name", { hasText: "thriller" }).waitFor();
    assert.equal(await page.title(), "Urasawa’s thriller · MangaAssist");
    assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "Rename “Urasawa’s thriller”", "the focus stays");

    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("#remove[open]").waitFor();
    await accessible(page, "delete");
    await picture(page, "delete");
    await page.keyboard.press("Enter"); // the focus is on Cancel
    assert.equal((await names(page)).length, 2);
    await page.keyboard.press("Enter");
    await page.locator("#remove[open]").waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".shelf-name", { hasText: "thriller" }).waitFor({ state: "detached" });
    assert.deepEqual(await names(page), ["hello"]);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".turn").count(), 0, "what was shown is gone");
    assert.doesNotMatch(page.url(), /#\/c\//);
    await page.reload();
    await connected(page);
    await shelf(page);
    assert.deepEqual(await names(page), ["hello"]);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("is the same in two tabs, and one model call answers both", async () => {
    const sent = [];
    const listen = (page) => page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(payload).type)));
    const { page, wrong, context, close } = await open(await serve(40), {}, listen);
    await ask(page, english);
    await grows(page);
    const second = await openTab(context, page.url(), wrong, listen);
    await grows(second);
    await grows(page);
    await Promise.all([done(page), done(second)]);
    assert.equal(await text(second), await text(page));
    assert.equal(await second.locator(".facts").innerText(), await page.locator(".facts").innerText());
    assert.deepEqual(sent, ["chat", "resume"]);

    await ask(second, "hello");
    await page.locator(".turn").nth(1).waitFor();
    await Promise.all([done(page), done(second)]);
    assert.equal(await text(page), await text(second));
    await ask(page, "Who wrote Monster?");
    await done(page);
    await second.locator(".turn").nth(2).waitFor();

    await shelf(second);
    await second.locator(".shelf-rename").click();
    await second.locator("#rename-input").fill("Shared");
    await second.keyboard.press("Enter");
    await page.waitForFunction(() => document.title.startsWith("Shared"));
    await second.locator(".shelf-remove").click();
    await second.locator("#remove .confirm").click();
    await page.locator("#problem", { hasText: "deleted in another tab" }).waitFor();
    assert.equal(await page.locator(".turn").count(), 0);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("does not wait for a tab that is gone", async () => {
    const { page, wrong, context, close } = await open(await serve(1000), {}, (page) => frames(page, ({ type }) => (type === "chat" ? [] : undefined)));
    await ask(page, "hello");
    await last(page).locator(".waiting").waitFor();
    const second = await openTab(context, page.url(), wrong);
    await last(second).locator(".failure", { hasText: "reloaded" }).waitFor();
    await last(second).locator(".retry").click();
    await done(second);
    await done(page);
    assert.equal(await page.locator(".turn").count(), 1);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("goes on when another one is shown", async () => {
    const { page, wrong, close } = await open(await serve(40));
    await ask(page, english);
    await grows(page);
    await page.locator("#new").click();
    assert.equal(await page.locator("#stop").isHidden(), true);
    await ask(page, "ワンピースに似たアクション漫画を教えてください");
    await grows(page);
    await done(page);
    await page.locator("#history").click();
    await page.locator(".shelf-open", { hasText: "seinen" }).click();
    await done(page);
    assert.equal(await last(page).locator(".outcome").isHidden(), true, "nobody stopped it");
    assert.match(await last(page).locator(".facts").innerText(), /claude.*\d tokens in, \d/s);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("that an earlier version kept in the tab is taken over", async () => {
    const turn = { id: "t", question: "old question", model: "sonnet", state: "done", parts: [{ text: "old answer" }], forgotten: 0, error: null, result: { stop_reason: "end_turn", usage: { unknown: true } }, answerID: "", sequence: 0 };
    for (const [kept, found] of [[JSON.stringify({ current: "c", conversations: [{ id: "c", turns: [turn] }] }), 1], ["{damaged", 0]]) {
      const { page, wrong, close } = await open(await serve(1000), {}, (page) => page.addInitScript((kept) => {
        if (!sessionStorage.getItem("seeded")) sessionStorage.setItem("mangaassist.conversations.1", kept);
        sessionStorage.setItem("seeded", "yes");
      }, kept));
      assert.equal(await page.evaluate(() => sessionStorage.getItem("mangaassist.conversations.1")), null);
      await shelf(page);
      assert.equal(await page.locator("#shelf-empty").isVisible(), found === 0);
      assert.equal((await names(page)).length, found);
      if (found > 0) {
        await page.locator(".shelf-open").click();
        assert.equal(await text(page), "old answer");
      }
      assert.deepEqual(wrong, []);
      await close();
    }
  });

  test("that is not there is said to be missing", async () => {
    const { page, close } = await open(await serve(1000));
    await page.evaluate(() => (location.hash = "#/c/00000000-0000-4000-8000-000000000000"));
    await page.locator("#problem", { hasText: "not in this browser" }).waitFor();
    await ask(page, "hello");
    await done(page);
    await close();
  });

  test("lasts as long as the page in a browser that keeps nothing", async () => {
    const { page, wrong, close } = await open(await serve(1000), {}, (page) => page.addInitScript(() => {
      indexedDB.open = () => {
        throw new DOMException("denied", "SecurityError");
      };
    }));
    await ask(page, "Who wrote Monster?");
    await done(page);
    await page.locator("#new").click();
    await shelf(page);
    await page.locator(".shelf-open").click();
    assert.match(await text(page), /Urasawa/);
    assert.deepEqual(wrong, []);
    await close();
  });
});
