// What the tests in Chromium share: servers, pages, questions, pictures.
//
// CHROMIUM is the browser (default /usr/bin/chromium), CHATSERVER_URL a server that
// runs already, CHATSERVER a server's program that is built already, SCREENSHOTS a
// folder for pictures of what was seen.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const japanese = "ワンピースに似たアクション漫画を教えてください";
export const english = "What are the best seinen manga from 2023?";

export const temp = mkdtempSync(join(tmpdir(), "chatserver-e2e-"));
export const program = process.env.CHATSERVER ?? join(temp, "chatserver");
export const servers = [];
export let browser;

before(async () => {
  if (!process.env.CHATSERVER_URL && !process.env.CHATSERVER) {
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    execFileSync("go", ["build", "-o", program, "./examples/chatserver"], { cwd: root, stdio: "inherit" });
  }
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  for (const server of servers) server.kill("SIGTERM");
  rmSync(temp, { recursive: true, force: true });
});

// serve starts the server with an offline model of tps tokens a second, by default
// on a free port.
export async function serve(tps, addr = "127.0.0.1:0", ...flags) {
  if (process.env.CHATSERVER_URL) return process.env.CHATSERVER_URL;
  const server = spawn(program, ["-addr", addr, "-tps", String(tps), ...flags], { stdio: ["ignore", "pipe", "ignore"] });
  servers.push(server);
  for await (const line of createInterface({ input: server.stdout })) return line;
  throw new Error("the server printed nothing");
}

// open opens the page and keeps what a page should not do: errors on its
// console, and requests to other hosts. prepare is called before the page loads.
export async function open(url, options = {}, prepare = async () => {}) {
  const context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 }, ...options });
  const wrong = [];
  const page = await openTab(context, url, wrong, prepare);
  return { page, wrong, context, close: () => context.close() };
}

// openTab opens another tab of the same browser.
export async function openTab(context, url, wrong, prepare = async () => {}) {
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith("data:")) wrong.push(request.url());
  });
  await prepare(page);
  await page.goto(url);
  await connected(page);
  return page;
}

export const connected = (page) => page.locator('#status[data-state="open"]').waitFor();

export async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return;
  mkdirSync(process.env.SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
}

export async function ask(page, text) {
  await page.locator("#question").fill(text);
  await page.locator("#question").press("Enter");
}

export const last = (page) => page.locator(".turn").last();
export const done = (page) => last(page).locator(".colophon").waitFor();
export const text = (page) => last(page).locator(".prose").allInnerTexts().then((parts) => parts.join("\n"));

// grows waits until more of the last answer is there.
export async function grows(page) {
  await last(page).locator(".prose").first().waitFor();
  const before = (await text(page)).length;
  await page.waitForFunction((n) => [...document.querySelectorAll(".turn:last-of-type .prose")].map((p) => p.innerText).join("\n").length > n, before);
}

// accessible fails on every rule of accessibility that the page breaks and a program
// can check.
export async function accessible(page, where) {
  await page.evaluate(readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], where);
}

// frames lets a test see and answer what goes over the WebSocket. take is called with
// each frame of the page; it returns frames to answer with, and then the server does
// not see the frame, or undefined.
export async function frames(page, take) {
  await page.routeWebSocket(/\/ws(\?|$)/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      const answers = take(JSON.parse(message), socket, server);
      if (!answers) server.send(message);
      else for (const answer of answers) socket.send(JSON.stringify(answer));
    });
  });
}

// answer is the frames of an answer to a question, with the end that is given.
export function answer({ request_id }, text, end = {}, start = {}) {
  const tokens = (text.match(/[^]{1,7}/gu) ?? []).map((data, i) => ({ type: "token", request_id, data, sequence: i + 1 }));
  return [
    { type: "start", request_id, answer_id: request_id, model: "test", ...start },
    ...tokens,
    { type: "complete", request_id, sequence: tokens.length + 1, model: "test", stop_reason: "end_turn", usage: { input_tokens: 1, output_tokens: 2 }, cost_usd: "0.01", ...end },
  ];
}

// says answers every question with a text.
export const says = (text, end, start) => (page) => frames(page, (frame) => (frame.type === "chat" ? answer(frame, text, end, start) : undefined));
