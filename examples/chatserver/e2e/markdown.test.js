// Tries the page's Markdown renderer in Node: beside marked on CommonMark's and GFM's
// examples, in pieces of every length, and on what an answer must never do.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import spec from "commonmark-spec";
import { marked } from "marked";
import { children, document } from "./dom.js";
import { normal } from "./normal.js";

let nodes = 0; // that were made
globalThis.document = { ...document, createTextNode: (text) => (nodes++, document.createTextNode(text)) };
const { Markdown } = await import("../page/markdown.js");

// render renders a text in pieces of the given length.
function render(text, length = text.length || 1) {
  const root = document.createElement("div");
  const markdown = new Markdown(root);
  for (let i = 0; i < text.length; i += length) markdown.write(text.slice(i, i + length));
  markdown.end();
  return children(root);
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

// Examples of CommonMark 0.31.2 that the page shows otherwise, and why.
const differ = {
  "indented text is no code": [18, 36, 48, 49, 69, 70, 85, 87, 100, 134, 225, 231, 236, 238, 252, 253, 254, 257, 264, ...range(270, 274), 278, ...range(286, 290), 309, 312, 313],
  "HTML is text": [21, 31, 308, 344, 475, 476, 477, 524, 642, 643],
  "a link has its address with it": [23, 33, 317, ...range(527, 545), 549, 550, ...range(553, 571), 573, 576, 577, ...range(582, 589), 591, 592, 593],
  "entities that no model writes are text": [25],
  "a link goes to http, https or mailto": [...range(484, 487), 495, 501, 504, 510, 596, 597, 598, 599, 601],
  "marked ends addresses elsewhere": [491, 493, 494, 496, 497, 519, 520, 602],
  "an address without a link is no mail": [612],
  "browsers read a backslash in an address as a slash": [20, 502, 526, 603],
  "a space that does not break ends an address": [507],
  "an image is a link, and a link holds no link": [517, 520, 581],
};
const sections = new Set(["Tabs", "Indented code blocks", "HTML blocks", "Link reference definitions", "Raw HTML", "Soft line breaks"]);

// Examples of the GFM specification 0.29 (github.github.com/gfm), by number.
const gfm = {
  198: "| foo | bar |\n| --- | --- |\n| baz | bim |",
  199: "| abc | defghi |\n:-: | -----------:\nbar | baz",
  200: "| f\\|oo  |\n| ------ |\n| b `\\|` az |\n| b **\\|** im |",
  201: "| abc | def |\n| --- | --- |\n| bar | baz |\n> bar",
  202: "| abc | def |\n| --- | --- |\n| bar | baz |\nbar\n\nbar",
  203: "| abc | def |\n| --- |\n| bar |",
  204: "| abc | def |\n| --- | --- |\n| bar |\n| bar | baz | boo |",
  205: "| abc | def |\n| --- | --- |",
  279: "- [ ] foo\n- [x] bar",
  280: "- [x] foo\n  - [ ] bar\n  - [x] baz\n- [ ] bim",
  491: "~~Hi~~ Hello, ~there~ world!",
  492: "This ~~has a\n\nnew paragraph~~.",
  493: "This will ~~~not~~~ strike.",
  622: "www.commonmark.org",
  623: "Visit www.commonmark.org/help for more information.",
  624: "Visit www.commonmark.org.\n\nVisit www.commonmark.org/a.b.",
  625: "www.google.com/search?q=Markup+(business)\n\nwww.google.com/search?q=Markup+(business)))\n\n(www.google.com/search?q=Markup+(business))\n\n(www.google.com/search?q=Markup+(business)",
  626: "www.google.com/search?q=(business))+ok",
  627: "www.google.com/search?q=commonmark&hl=en\n\nwww.google.com/search?q=commonmark&hl;",
  628: "www.commonmark.org/he<lp",
  629: "http://commonmark.org\n\n(Visit https://encrypted.google.com/search?q=Markup+(business))",
};

// What models write, beyond the specifications' examples.
const answers = [
  "Here is a table:\n| Title | Volumes |\n|:--|--:|\n| **Monster** | 18 |\n| `a` | [x](https://example.com) |\n\nAfter.",
  "- one\n\n  ```go\n  x := 1\n  ```\n- two\n  > quoted\n  > - deep\n\nend",
  "1. **Monster** – a thriller\n   - Naoki Urasawa\n   - 18 volumes\n2. **Pluto**\n\n---\n\n> A quote\n> goes on\nlazily",
  "## Title\n\nText with `code`, *em*, __bold__ and ~~gone~~.\nNext line  \nand the next\\\none",
  "> | a | b |\n> |---|---|\n> | 1 | 2 |\n\n- | a |\n  |---|\n  | 1 |",
  "~~~python\nprint('```')\n~~~\n\n````md\n```\n````\n",
];

const examples = spec.tests
  .filter(({ section }) => !sections.has(section))
  // The page links to the web only; the examples' addresses are moved there.
  .map(({ number, markdown }) => [number, markdown.replaceAll("→", "\t").replaceAll(/\]\((<?)\/?(?=[a-z])/g, "]($1https://example.com/")]);

const beside = (source) => [normal(render(source)), normal(marked.parse(source, { gfm: true, breaks: true }))];

describe("the Markdown renderer", () => {
  test("shows CommonMark's examples as marked does", () => {
    const other = new Set(Object.values(differ).flat());
    assert.ok(examples.length > 500);
    for (const [number, source] of examples) {
      const [got, want] = beside(source);
      if (other.has(number)) assert.notEqual(got, want, `example ${number} does not differ any more`);
      else assert.equal(got, want, `example ${number}: ${JSON.stringify(source)}`);
    }
  });

  test("shows GFM's examples and models' answers as marked does", () => {
    for (const [name, source] of [...Object.entries(gfm), ...answers.entries()]) {
      const [got, want] = beside(source);
      assert.equal(got, want, `${name}: ${JSON.stringify(source)}`);
    }
  });

  test("renders the same, however the text arrives", () => {
    for (const source of [...examples.map(([, source]) => source), ...Object.values(gfm), ...answers, ...cases.map(([source]) => source)]) {
      const whole = render(source);
      for (const length of [1, 2, 3, 7]) assert.equal(render(source, length), whole, `${JSON.stringify(source)} in pieces of ${length}`);
    }
  });

  const link = (href, label, host) => `<a href="${href}" rel="noopener noreferrer nofollow" target="_blank">${label}${host ? `<span class="host"> (${host})</span>` : ""}</a>`;
  const cases = [
    ["これは**太字**です。**「引用」**も、**『題』**は。", "<p>これは<strong>太字</strong>です。<strong>「引用」</strong>も、<strong>『題』</strong>は。</p>"],
    ["『**進撃の巨人**』（**全34巻**）と*注*。", "<p>『<strong>進撃の巨人</strong>』（<strong>全34巻</strong>）と<em>注</em>。</p>"],
    ["詳細はhttps://example.com/漫画。次", `<p>詳細は${link("https://example.com/%E6%BC%AB%E7%94%BB", "https://example.com/漫画")}。次</p>`],
    ["• a\n• b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"],
    ["a<br>b", "<p>a<br>b</p>"],
    ["```go\nx := `*a*`\n```\nafter", '<div class="code"><pre tabindex="0"><code>x := `*a*`\n</code></pre></div><p>after</p>'],
    ["```\nnever closed", '<div class="code"><pre tabindex="0"><code>never closed\n</code></pre></div>'],
    ["# A\n## B\n# C", "<h5>A</h5><h6>B</h6><h5>C</h5>"],
    ["## A\n### B", "<h5>A</h5><h6>B</h6>"],
    ["-5 and 1.5 and #tag", "<p>-5 and 1.5 and #tag</p>"],
    ["[shop](https://example.com/a?b)!", `<p>${link("https://example.com/a?b", "shop", "example.com")}!</p>`],
    ["[write](mailto:a@example.com)", `<p>${link("mailto:a@example.com", "write", "a@example.com")}</p>`],
    ["[https://good.example](https://evil.example)", `<p>${link("https://evil.example/", "https://good.example", "evil.example")}</p>`],
    ["[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"],
    ["[x](JaVaScRiPt:alert(1)) <javascript:alert(1)>", "<p>[x](JaVaScRiPt:alert(1)) &lt;javascript:alert(1)&gt;</p>"],
    ["[x](data:text/html,x) [y](//evil.example) [z](/v1/info)", "<p>[x](data:text/html,x) [y](//evil.example) [z](/v1/info)</p>"],
    ["[bank](https://bank.example@evil.example/)", "<p>[bank](https://bank.example@evil.example/)</p>"],
    ["&#8238;&#x202e;&amp;", "<p>[U+202E][U+202E]&amp;</p>"],
    ["*a ".repeat(30) + "b* ".repeat(30), `<p>${"*a ".repeat(10)}${"<em>a ".repeat(20)}${"b</em> ".repeat(20)}${"b* ".repeat(10).trim()}</p>`],
    ["<img src=//evil.example/x onerror=alert(1)>", "<p>&lt;img src=//evil.example/x onerror=alert(1)&gt;</p>"],
    ["![x](https://evil.example/leak?q=1)", `<p>${link("https://evil.example/leak?q=1", "x", "evil.example")}</p>`],
    ["![](https://evil.example/leak)", `<p>${link("https://evil.example/leak", "https://evil.example/leak")}</p>`],
    ["| a |\n|--|\n| <script>x</script> |", '<div class="table" tabindex="0"><table><thead><tr><th scope="col">a</th></tr></thead><tbody><tr><td>&lt;script&gt;x&lt;/script&gt;</td></tr></tbody></table></div>'],
  ];

  test("reads Japanese, and links to nothing else", () => {
    for (const [source, html] of cases) assert.equal(render(source), html, JSON.stringify(source));
  });

  test("draws a long paragraph's end alone, and the same", () => {
    const long = "Some **bold** and _other_ text with `code`, a [link](https://example.com/x \"a title\"), <br> a line  \nand 漫画。 ".repeat(30);
    for (const source of [long, `- [x] ${long}`, long.replaceAll("`code`", "`code"), long.replaceAll("**bold**", "**bold"), "漫".repeat(9000), `${long}\n| a | b |\n|--|--|\n| 1 | 2 |`]) {
      const whole = render(source);
      for (const length of [1, 5, 100]) assert.equal(render(source, length), whole);
    }
    assert.deepEqual(...beside(long.trim()));
    const root = document.createElement("div");
    const markdown = new Markdown(root);
    markdown.write(long);
    const [first] = root.firstChild.childNodes;
    const before = nodes;
    for (const c of long) markdown.write(c);
    assert.equal(root.firstChild.childNodes[0], first);
    assert.ok(nodes - before < long.length * 150, `${nodes - before} nodes for ${long.length} letters`);
  });

  test("leaves a block alone once the next one has begun", () => {
    const source = `${answers.join("\n\n")}\n\nThe end.`;
    const root = document.createElement("div");
    const markdown = new Markdown(root);
    const seen = [];
    for (const c of source) {
      markdown.write(c);
      const blocks = root.childNodes;
      for (let i = 0; i < blocks.length - 1; i++) {
        seen[i] ??= [blocks[i], children(blocks[i])];
        assert.equal(blocks[i], seen[i][0]);
        assert.equal(children(blocks[i]), seen[i][1]);
      }
    }
    assert.ok(seen.length > 10, String(seen.length));
  });

  test("shows a mark that is still open as what it becomes", () => {
    const root = document.createElement("div");
    const markdown = new Markdown(root);
    const shown = [];
    for (const piece of ["a **bo", "ld** and `co", "de` [lab", "el](https://exa", "mple.com) |", "\n|--|"]) {
      markdown.write(piece);
      shown.push(children(root));
    }
    assert.deepEqual(shown.slice(0, 4), [
      "<p>a <strong>bo</strong></p>",
      "<p>a <strong>bold</strong> and <code>co</code></p>",
      "<p>a <strong>bold</strong> and <code>code</code> [lab</p>",
      "<p>a <strong>bold</strong> and <code>code</code> label</p>",
    ]);
  });

  test("never builds anything that loads or runs, and loses no letter", () => {
    let seed = 1;
    const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
    const pieces = ["*", "**", "_", "~~", "`", "```", "~~~", "[", "](", ")", "https://a.example", "www.a.example", "\n", "\n\n", "  ", "- ", "1. ", "# ", "> ", "| ", "|", "|--|", "---", "===", "[ ] ", "\\", "漫", "a", "!", "<img src=x>", "&amp;", "\t"];
    for (let i = 0; i < 3000; i++) {
      const source = Array.from({ length: 30 }, () => pieces[random(pieces.length)]).join("");
      const whole = render(source);
      for (const length of [1, 4]) assert.equal(render(source, length), whole, JSON.stringify(source));
      assert.match(whole, /^(<\/?(p|br|h5|h6|ul|li|ol|hr|pre|code|strong|em|del|a|span|blockquote|div|table|thead|tbody|tr|th|td|input)\b[^<>]*>|[^<>]|&[lg]t;)*$/);
      for (const [, href] of whole.matchAll(/href="([^"]*)"/g)) assert.match(href, /^https?:\/\/(www\.)?a\.example/);
      // The language of a code block, a row's surplus cells and an address are not shown as letters.
      if (!/```|~~~|\|/.test(source)) assert.equal(whole.replaceAll(/ href="[^"]*"/g, "").split("漫").length, source.split("漫").length, JSON.stringify(source));
    }
  });

  test("takes time in proportion to its text", () => {
    for (const piece of ["*a **b ", "_a __b*", "[", "![a](", "`a``b```", "<a", "&x", "> ", "- ", "1. a\n", "|a", "~~a~", "https://a.b/(", "\\", "a\n"]) {
      const began = performance.now();
      render(piece.repeat(8_000 / piece.length));
      assert.ok(performance.now() - began < 5000, `${JSON.stringify(piece)} took ${performance.now() - began} ms`);
    }
  });
});
