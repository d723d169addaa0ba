// The links of Markdown: how they are written, where they may go, how they look.

export const angled = /<(https?:\/\/[^\s<>]*|[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)>/iy;
export const bare = /(?:https?:\/\/|www\.)[\w-]+(?:\.[\w-]+)*(?:[:/?#][^\s<\u3000-\u303f\uff01-\uff60]*)?/iy;
export const target = /\(\s*(?:<([^<>\n]*)>|((?:\\.|[^\s()\\<]|\((?:\\.|[^\s()\\])*\))(?:\\.|[^\s()\\]|\((?:\\.|[^\s()\\])*\))*))(?:\s+(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\((?:\\.|[^()\\])*\)))?\s*\)/sy;
const longestTarget = 2000;

// linkTo is a link with the nodes of its label.
export function linkTo(url, label) {
  const link = document.createElement("a");
  link.setAttribute("href", url.href);
  link.setAttribute("rel", "noopener noreferrer nofollow");
  link.setAttribute("target", "_blank");
  link.append(...label);
  const goal = url.protocol === "mailto:" ? url.pathname : url.host;
  if (goesTo(link.textContent)?.href !== url.href) {
    const host = document.createElement("span"); // says where the link goes, whatever its label claims
    host.className = "host";
    host.textContent = ` (${goal})`;
    link.append(host);
  }
  return link;
}

// unlink leaves the label of a link that lies in another one.
export function unlink(link) {
  link.replaceWith(...[...link.childNodes].filter(({ className }) => className !== "host"));
}

// allowed is the URL of a link, or null if the page does not link to such.
export function allowed(address) {
  if (address.length > longestTarget || !URL.canParse(address)) return null;
  const url = new URL(address);
  const named = ["https:", "http:"].includes(url.protocol) && url.username === "" && url.password === "";
  return named || (url.protocol === "mailto:" && url.pathname !== "") ? url : null;
}

// goesTo is the URL of an address as people write it.
export function goesTo(address) {
  return allowed(address.replace(/^www\./i, "http://$&").replace(/^[\w.+-]+@/, "mailto:$&"));
}

// trimAddress leaves off what belongs to the sentence, as GFM says.
export function trimAddress(address) {
  for (;;) {
    const count = (c) => address.split(c).length;
    const shorter = address.replace(/(?:[?!.,:*_~'"]+|&\w+;)$/, "");
    if (shorter !== address) address = shorter;
    else if (address.endsWith(")") && count(")") > count("(")) address = address.slice(0, -1);
    else return address;
  }
}
