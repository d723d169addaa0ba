// One question and its answer: ask it differently, answer it again, go on with it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessible, answer, ask, done, frames, last, open, picture, says, serve, text } from "./browser.js";

describe("a question", () => {
  test("is edited and sent again, and what came after it goes", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    for (const question of ["Who wrote Monster?", "hello"]) {
      await ask(page, question);
      await done(page);
    }
    const first = page.locator(".turn").first();
    const box = first.locator(".editor textarea");
    await first.hover();
    await first.locator(".edit").click();
    assert.match(await first.locator(".editor-note").innerText(), /removes the question after it/);
    await accessible(page, "editor");
    await picture(page, "edit");
    await box.fill("");
    await page.keyboard.press("Escape");
    assert.equal(await box.count(), 0);
    assert.equal(await first.locator(".question-text").innerText(), "Who wrote Monster?");

    await first.hover();
    await first.locator(".edit").click();
    await box.fill("Who wrote Naruto?");
    await box.dispatchEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true });
    assert.equal(await page.locator(".turn").count(), 2, "an input method composes");
    await box.press("Enter");
    await last(page).locator(".question-text", { hasText: "Naruto" }).waitFor();
    await done(page);
    assert.equal(await page.locator(".turn").count(), 1);
    assert.match(await text(page), /Kishimoto/);
    await page.reload();
    await done(page);
    assert.equal(await page.locator(".turn").count(), 1);
    assert.match(await text(page), /Kishimoto/);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("that failed is edited in its place", async () => {
    let failed = false;
    const { page, close } = await open(await serve(1000), {}, (page) => frames(page, ({ type, request_id }) => {
      if (type !== "chat" || failed) return undefined;
      failed = true;
      return [{ type: "error", request_id, code: "invalid_request", message: "no" }];
    }));
    await ask(page, "Who wrote Monster?");
    await last(page).locator(".reword").click();
    await last(page).locator(".editor textarea").fill("Who wrote Pluto?");
    await last(page).locator(".editor .confirm").click();
    await done(page);
    assert.equal(await page.locator(".turn").count(), 1);
    await close();
  });

  test("is folded if it is long, and hides no character", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    const hidden = "a\u0007b\u202ec\u0085d\u200be🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}f\u{e0041}👨‍👩‍👧";
    await ask(page, hidden + "漫".repeat(3900));
    const shown = last(page).locator(".question-text");
    assert.ok((await shown.innerText()).startsWith("a␇b[U+202E]c[U+0085]d[U+200B]e🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}f[U+E0041]👨‍👩‍👧漫"), await shown.innerText());
    assert.ok((await shown.boundingBox()).height < 300);
    await picture(page, "folded");
    await last(page).locator(".unfold").click();
    assert.equal(await last(page).locator(".unfold").getAttribute("aria-expanded"), "true");
    assert.ok((await shown.boundingBox()).height > 300);
    assert.deepEqual(wrong, []);
    await close();
  });
});

describe("an answer", () => {
  test("from the cache says so, and is given anew when told to", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    for (const cached of [false, true]) {
      await page.locator("#new").click();
      await ask(page, "Who wrote Monster?");
      await done(page);
      assert.equal(/cached/.test(await last(page).locator(".facts").innerText()), cached);
    }
    await picture(page, "cached");
    await last(page).locator(".regenerate").click();
    await last(page).locator(".facts").filter({ hasNotText: "cached" }).waitFor();
    assert.deepEqual(wrong, []);
    await close();
  });

  test("is given again by the model that is chosen", async () => {
    const models = [];
    const { page, wrong, close } = await open(await serve(1000), {}, (page) => frames(page, (frame) => {
      if (frame.type === "chat") models.push([frame.model, frame.messages.length]);
    }));
    await ask(page, "hello");
    await done(page);
    await page.locator("#model").click();
    await page.locator("#models label", { hasText: "Haiku" }).click();
    await last(page).locator(".regenerate").click();
    await last(page).locator(".facts", { hasText: "haiku" }).waitFor();
    assert.equal(await page.locator(".turn").count(), 1);
    assert.deepEqual(models, [["sonnet", 1], ["haiku", 1]]);
    assert.deepEqual(wrong, []);
    await close();
  });

  test("that failed is given again in its place", async () => {
    const fails = [true];
    const { page, wrong, close } = await open(await serve(1000), {}, (page) => frames(page, (frame) => {
      if (frame.type !== "chat" || !fails.shift()) return undefined;
      return [{ type: "error", request_id: frame.request_id, code: "busy", message: "busy", retryable: true }];
    }));
    await ask(page, "Who wrote Monster?");
    await last(page).locator(".retry").waitFor();
    await ask(page, "hello");
    await done(page);
    await page.locator(".turn").first().locator(".retry").click();
    await page.locator(".turn").first().locator(".prose", { hasText: "Urasawa" }).waitFor();
    await page.locator(".turn").first().locator(".colophon").waitFor();
    assert.deepEqual(await page.locator(".question-text").allInnerTexts(), ["Who wrote Monster?", "hello"]);
    await page.reload();
    await page.locator(".turn").nth(1).waitFor();
    assert.deepEqual(await page.locator(".question-text").allInnerTexts(), ["Who wrote Monster?", "hello"]);
    assert.deepEqual(wrong, []);
    await close();
  });

  for (const [locale, question, words] of [["en-US", "Tell me all", /^Go on exactly/], ["ja-JP", "全部教えて", /^回答が途切れた/]]) {
    test(`that became too long goes on, ${locale}`, async () => {
      const asked = [];
      const { page, wrong, close } = await open(await serve(1000), { locale }, (page) => frames(page, (frame) => {
        if (frame.type !== "chat") return undefined;
        asked.push(frame.messages);
        const end = { cost_usd: "0.0100", usage: { input_tokens: 100, output_tokens: 1000 }, latency_ms: 1000 };
        return asked.length === 1
          ? answer(frame, "1. one\n2. tw", { ...end, stop_reason: "max_tokens" })
          : answer(frame, "o\n3. three", { ...end, cost_usd: "0.002", latency_ms: 500 });
      }));
      await ask(page, question);
      const goOn = last(page).locator(".go-on");
      await goOn.waitFor();
      await picture(page, `too-long-${locale}`);
      await goOn.click();
      await last(page).locator("li", { hasText: "three" }).waitFor();
      await done(page);
      assert.deepEqual(await last(page).locator("li").allInnerTexts(), ["one", "two", "three"], "one list");
      assert.equal(asked[1].length, 3);
      assert.deepEqual(asked[1].slice(0, 2), [{ role: "user", content: question }, { role: "assistant", content: "1. one\n2. tw" }]);
      assert.match(asked[1][2].content, words);
      assert.match(await last(page).locator(".facts").innerText(), /200.*2,000.*\$0\.012.*1\.5/s);
      assert.equal(await last(page).locator(".cost dd").getAttribute("title"), locale === "ja-JP" ? "正確には 0.0120 ドル" : "Exactly $0.0120");
      assert.equal(await goOn.isHidden(), true);
      await page.reload();
      await done(page);
      assert.equal(await last(page).locator("li").count(), 3);
      await ask(page, "next");
      await done(page);
      assert.equal(asked[2][1].content, "1. one\n2. two\n3. three", "the model is given one answer");
      assert.deepEqual(wrong, []);
      await close();
    });
  }

  test("shows the characters that one cannot see", async () => {
    const { page, close } = await open(await serve(1000), {}, says("safe\u202eevil `a\u2066b` \u0000"));
    await ask(page, "hello");
    await done(page);
    assert.equal(await text(page), "safe[U+202E]evil a[U+2066]b ␀");
    await close();
  });
});
