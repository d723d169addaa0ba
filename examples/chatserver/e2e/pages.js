// What the tests of the pages beside the chat share.

import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { browser, servers, temp } from "./browser.js";

// openPage opens one of the pages, and keeps what it should not do: errors on its console,
// those of its policy among them, dialogs, and requests to other hosts.
export async function openPage(url, path, options = {}, prepare = async () => {}) {
  const context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const wrong = watchFor(page, url);
  await prepare(page);
  await page.goto(url + path);
  return { page, wrong, context, close: () => context.close() };
}

export function watchFor(page, url) {
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("dialog", (dialog) => {
    wrong.push(`dialog ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("popup", (popup) => wrong.push(`popup ${popup.url()}`));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith("data:")) wrong.push(request.url());
  });
  return wrong;
}

// post sends JSON to the API and returns its answer.
export async function post(url, path, body) {
  const response = await fetch(url + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return response.json();
}

// hostile starts the server whose model and catalogue attack the pages.
export async function hostile(...flags) {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const program = process.env.HOSTILE ?? join(temp, "hostile");
  if (!process.env.HOSTILE) execFileSync("go", ["build", "-o", program, "./examples/chatserver/e2e/hostile"], { cwd: root, stdio: "inherit" });
  const server = spawn(program, ["-corpus", fileURLToPath(new URL("corpus.json", import.meta.url)), ...flags], { stdio: ["ignore", "pipe", "inherit"] });
  servers.push(server);
  for await (const line of createInterface({ input: server.stdout })) return line;
  throw new Error("the server printed nothing");
}

// sideways is by how many pixels the page is wider than its window.
export const sideways = (page) => page.evaluate(() => {
  const main = document.querySelector("main");
  return Math.max(document.documentElement.scrollWidth - innerWidth, main.scrollWidth - main.clientWidth);
});

// tooSmall are the controls that a finger misses: less than 44 pixels high or wide.
export const tooSmall = (page) => page.evaluate(() => [...document.querySelectorAll("main :is(button, summary, label:has(input), input[type=search], textarea, select), header :is(a, button)")]
  .filter((control) => control.checkVisibility())
  .map((control) => [control.getBoundingClientRect(), control.outerHTML.slice(0, 100)])
  .filter(([{ width, height }]) => width < 43.5 || height < 43.5)
  .map(([{ width, height }, html]) => `${Math.round(width)}×${Math.round(height)} ${html}`));
