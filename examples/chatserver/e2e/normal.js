// normal brings two renderings of Markdown into one form, to compare their structure.
//
// Not compared: which heading (the page has two sizes), paragraphs in list items (the
// page has them always), the boxes around code and tables, the class of a code's
// language, and what the page adds to links.

export function normal(html) {
  const tokens = html.match(/<\/?[a-z][^<>]*>|[^<]+|</gi) ?? [];
  const open = [];
  let out = "";
  let host = 0;
  let raw = false;
  for (const token of tokens) {
    const [, close, name] = /^<(\/?)([a-z0-9]+)/i.exec(token) ?? [];
    if (name === undefined) {
      if (host === 0) out += raw ? token : token.replaceAll(/\s+/g, " ");
      continue;
    }
    if (name === "span") host += close ? -1 : 1;
    if (name === "pre") raw = !close;
    if (["span", "div"].includes(name)) continue;
    if (close) {
      if (open.pop() === "unwrapped") {
        out += "\n";
        continue;
      }
    } else if (!["br", "hr", "input", "img"].includes(name)) {
      const unwrapped = name === "p" && open.at(-1) === "li";
      open.push(unwrapped ? "unwrapped" : name);
      if (unwrapped) {
        out += "\n";
        continue;
      }
    }
    const tag = /^h[1-6]$/.test(name) ? "h" : name;
    out += close ? `</${tag}>` : `<${tag}${attributes(token)}>`;
  }
  return out
    .replaceAll(/\s*(<\/?(?:p|h|ul|ol|li|blockquote|pre|hr|table|thead|tbody|tr|th|td)\b[^<>]*>)(?!<code>)\s*/g, "$1")
    .replaceAll(/ *(<br>)\s*/g, "$1")
    .replaceAll(/\s*\n\s*/g, "\n")
    .replaceAll(/<img src="([^"]*)" alt="([^"]*)"[^<>]*>/g, '<a href="$1">$2</a>')
    .replaceAll("&#39;", "'")
    .replaceAll(/&(?!(?:amp|lt|gt|quot);)/g, "&amp;");
}

function attributes(token) {
  const found = [];
  for (const [, name, value] of token.matchAll(/ ([a-z-]+)(?:="([^"]*)")?/g)) {
    if (name === "href" || name === "src") found.push(`${name}="${URL.parse?.(value)?.href ?? value}"`);
    else if (["start", "checked", "alt"].includes(name)) found.push(`${name}="${value ?? ""}"`);
    else if (name === "align" || name === "data-align") found.push(`align="${value}"`);
  }
  return found.sort().reverse().map((attribute) => ` ${attribute}`).join("");
}
