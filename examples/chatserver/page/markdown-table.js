// The rows of a GFM table.

// A delimiter row is hyphens between pipes; colons say how a column is aligned.
const delimiter = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
export const maybeDelimiter = /^[ \t]*[|:-][|:\- \t]*$/;

// alignments returns how each column is aligned ("" for the default), or null if
// the line is no delimiter row.
export function alignments(line) {
  if (!line.includes("|") || !delimiter.test(line.trim())) return null;
  return cells(line).map((cell) => {
    const [left, right] = [cell.startsWith(":"), cell.endsWith(":")];
    if (left && right) return "center";
    return left ? "left" : right ? "right" : "";
  });
}

// cells splits a row at its pipes. An escaped pipe is part of a cell.
export function cells(line) {
  const row = line.trim().replace(/^\|/, "");
  const found = [""];
  for (const piece of row.match(/\\\||\||[^|\\]+|\\/g) ?? []) {
    if (piece === "|") found.push("");
    else found[found.length - 1] += piece === "\\|" ? "|" : piece;
  }
  if (found.length > 1 && found.at(-1).trim() === "") found.pop(); // after the closing pipe
  return found.map((cell) => cell.trim());
}
