// Looks at answers in Markdown in the page: a table, and code to copy.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { accessible, ask, done, english, last, open, picture, says, serve } from "./browser.js";

const answer = "Compared:\n\n| Title | Volumes | Price |\n|:--|--:|:-:|\n| **Monster** | 18 | ¥726 |\n| ~~Pluto~~ | 8 | ¥726 |\n\n"
  + "> A quote\n> - with a list\n\n- [x] read\n- [ ] buy\n\n```go\nfmt.Println(\"漫画\")\n```\n\n1. one\n   - nested\n2. https://example.com/a?b=c\n\n![picture](https://evil.example/x.png)";

describe("an answer in Markdown", () => {
  for (const [name, options] of [["light", {}], ["dark", { colorScheme: "dark" }], ["phone", { viewport: { width: 390, height: 844 }, locale: "ja-JP" }]]) {
    test(`is shown as it is meant, ${name}`, async () => {
      const { page, wrong, close } = await open(await serve(1000), { permissions: ["clipboard-read", "clipboard-write"], ...options }, says(answer));
      await ask(page, "Compare Monster and Pluto");
      await done(page);
      await picture(page, `prose-${name}`);
      await page.locator(".code-head button").click();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'fmt.Println("漫画")\n');
      assert.equal(await page.locator(".code-language").innerText(), "go");
      assert.equal(await page.locator("th").nth(1).evaluate((cell) => getComputedStyle(cell).textAlign), "end");
      assert.equal(await page.locator(".prose img").count(), 0);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no scrolling sideways");
      await accessible(page, name);
      assert.deepEqual(wrong, []);
      await close();
    });
  }

  test("is a table when one is asked for", async () => {
    const { page, wrong, close } = await open(await serve(1000));
    await ask(page, english);
    await done(page);
    await ask(page, "as a table");
    await done(page);
    assert.equal(await last(page).locator("tbody tr").count(), 5);
    await picture(page, "table");
    assert.deepEqual(wrong, []);
    await close();
  });
});
