// The operations page: what the last minutes were like, asked for again every few seconds.

import { Chart } from "./charts.js";
import { cost, count, modelName, seconds } from "./format.js";
import { announce, askJSON, begin, every } from "./pages.js";
import { words } from "./pages-strings.js";
import { language } from "./strings.js";

const wait = 4_000;
const colors = ["a", "b", "c", "d", "e"];

const byId = (id) => document.getElementById(id);
const number = (n) => count(n, language);
const dollars = (n) => cost(n, language);
const time = (milliseconds) => (milliseconds >= 1000 || milliseconds === 0 ? seconds(milliseconds, language)
  : new Intl.NumberFormat(language, { style: "unit", unit: "millisecond", unitDisplay: "narrow", maximumSignificantDigits: 3 }).format(milliseconds));
const sum = (values) => values.reduce((all, value) => all + value, 0);

function clock(at, exact = false) {
  const style = { hour: "2-digit", minute: "2-digit", hour12: false, ...(exact && report.step < 60 ? { second: "2-digit" } : {}) };
  return new Intl.DateTimeFormat(language, style).format(new Date(at * 1000));
}

const compact = (n) => new Intl.NumberFormat(language, { notation: "compact", maximumSignificantDigits: 3 }).format(n);
const dollarAxis = (n) => (n === 0 ? "$0" : new Intl.NumberFormat(language, { style: "currency", currency: "USD", maximumSignificantDigits: 2 }).format(n));

let report = null;
let paused = false;
let problem = "";
const modelColors = new Map(); // a model keeps its color

const span = () => document.querySelector("input[name=span]:checked").value;

// What each chart shows of a report.

const values = (fn) => report.points.map(fn);
const series = (name, color, fn) => {
  const list = values(fn);
  return { name, color, values: list, total: sum(list) };
};
const level = (name, color, key) => ({ name, color, values: values(({ most }) => most[key]), total: report.now[key] });

function quantiles(title, key) {
  const w = words();
  const all = report.total[key];
  return {
    title,
    gist: all ? w.quantileGist(time(all.p50), time(all.p95)) : w.noTimes,
    series: [
      { name: w.p50, color: "a", values: values((p) => p[key]?.p50 ?? null), total: all?.p50 },
      { name: w.p95, color: "b dashed", values: values((p) => p[key]?.p95 ?? null), total: all?.p95 },
    ],
    format: time,
    axis: time,
  };
}

const spent = (point) => sum(Object.values(point.cost_usd).map(Number));
const savedBy = (point) => Number(point.saved_usd.cache) + Number(point.saved_usd.prompt_cache);

function costs() {
  const w = words();
  const models = Object.entries(report.total.cost_usd).sort(([, a], [, b]) => Number(b) - Number(a)).map(([model]) => model);
  for (const model of models) if (!modelColors.has(model)) modelColors.set(model, colors[modelColors.size % colors.length]);
  return {
    title: w.cost,
    gist: w.costGist(dollars(spent(report.total))),
    series: models.map((model) => series(modelName(model), modelColors.get(model), (p) => Number(p.cost_usd[model] ?? 0))),
    format: dollars,
    axis: dollarAxis,
  };
}

function kinds() {
  const w = words();
  const all = Object.entries(report.total.error_kinds ?? {}).sort(([, a], [, b]) => b - a).map(([kind]) => kind);
  return {
    title: w.kinds,
    gist: w.kindsGist(report.total.errors),
    series: all.map((kind, i) => series(kind, colors[(i + 1) % colors.length], (p) => p.error_kinds?.[kind] ?? 0)),
    format: number, axis: compact, integers: true,
  };
}

const groups = [
  ["speed", [
    ["lines", () => quantiles(words().first, "first_token_ms")],
    ["lines", () => quantiles(words().latency, "latency_ms")],
  ]],
  ["money", [
    ["bars", costs],
    ["bars", () => ({
      title: words().tokens,
      gist: words().tokensGist(number(report.total.tokens.input + report.total.tokens.cache_read + report.total.tokens.cache_write), number(report.total.tokens.output)),
      series: [
        series(words().input, "a", (p) => p.tokens.input),
        series(words().output, "b", (p) => p.tokens.output),
        series(words().cacheRead, "c", (p) => p.tokens.cache_read),
        series(words().cacheWrite, "d", (p) => p.tokens.cache_write),
      ],
      format: number, axis: compact, integers: true,
    })],
    ["bars", () => ({
      title: words().savings,
      gist: words().savingsGist(dollars(savedBy(report.total))),
      series: [
        series(words().savedCache, "d", (p) => Number(p.saved_usd.cache)),
        series(words().savedPrompt, "c", (p) => Number(p.saved_usd.prompt_cache)),
      ],
      format: dollars, axis: dollarAxis,
    })],
    ["bars", () => ({
      title: words().calls,
      gist: words().callsGist(number(report.total.calls), number(report.total.cache_hits)),
      series: [
        series(words().answered, "a", (p) => p.calls - p.errors - p.cache_hits),
        series(words().fromCache, "d", (p) => p.cache_hits),
        series(words().failedCalls, "b", (p) => p.errors),
      ],
      format: number, axis: compact, integers: true,
    })],
  ]],
  ["health", [
    ["bars", kinds],
    ["bars", () => ({
      title: words().trouble,
      gist: words().troubleGist(report.total.throttled),
      series: [
        series(words().throttled, "b", (p) => p.throttled),
        series(words().retried, "c", (p) => p.retries),
        series(words().fellBack, "e", (p) => p.fallbacks),
      ],
      format: number, axis: compact, integers: true,
    })],
    ["bars", () => ({
      title: words().requests,
      gist: words().requestsGist(report.total.request_errors),
      series: [
        series(words().requestsFine, "a", (p) => p.requests - p.request_errors),
        series(words().requestsFailed, "b", (p) => p.request_errors),
      ],
      format: number, axis: compact, integers: true,
    })],
    ["lines", () => ({
      title: words().streams,
      gist: words().streamsGist(report.now.streams, report.now.sockets),
      whole: words().now,
      series: [level(words().streaming, "b", "streams"), level(words().sockets, "a dashed", "sockets")],
      format: number, axis: compact, integers: true,
    })],
  ]],
  ["background", [
    ["lines", () => ({
      title: words().queue,
      gist: words().queueGist(report.now.queued, report.now.running),
      whole: words().now,
      series: [level(words().waiting, "a", "queued"), level(words().running, "b dashed", "running")],
      format: number, axis: compact, integers: true,
    })],
    ["bars", () => ({
      title: words().ended,
      gist: words().endedGist(report.total.jobs_completed, report.total.jobs_failed),
      series: [
        series(words().completed, "d", (p) => p.jobs_completed),
        series(words().failedJobs, "b", (p) => p.jobs_failed),
        series(words().retriedJobs, "c", (p) => p.jobs_retried),
      ],
      format: number, axis: compact, integers: true,
    })],
  ]],
].map(([name, charts]) => {
  const section = document.createElement("section");
  section.className = "chart-group";
  const title = document.createElement("h3");
  title.className = "group-title";
  title.id = `group-${name}`;
  section.setAttribute("aria-labelledby", title.id);
  const grid = document.createElement("div");
  grid.className = "chart-grid";
  const made = charts.map(([kind, data]) => ({ chart: new Chart(kind), data }));
  grid.append(...made.map(({ chart }) => chart.element));
  section.append(title, grid);
  byId("charts").append(section);
  return { name, title, made };
});

function tiles() {
  const w = words();
  const { total, now } = report;
  const quantile = (name, q) => [name, q ? time(q.p50) : "–", q ? w.tileQuantiles(time(q.p95)) : w.noTimes];
  const full = spent(total) + savedBy(total);
  const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 }).format(full === 0 ? 0 : savedBy(total) / full);
  const { night } = report;
  const batch = night && [w.tileNight, night.saved_usd === undefined ? "–" : dollars(Number(night.saved_usd)),
    night.cost_usd === undefined ? w.unknownCost : w.tileNightNote(night.day, dollars(Number(night.cost_usd)))];
  return [
    quantile(w.tileFirst, total.first_token_ms),
    quantile(w.tileLatency, total.latency_ms),
    [w.tileCalls, number(total.calls), w.tileCallsNote(total.errors)],
    [w.tileCost, dollars(spent(total)), w.tileCostNote(total.unpriced)],
    [w.tileSaved, dollars(savedBy(total)), w.tileSavedNote(share)],
    [w.tileNow, w.tileNowValue(now.streams), w.tileNowNote(now.sockets)],
    [w.tileQueue, w.tileQueueValue(now.queued), w.tileQueueNote(now.running)],
    ...(batch ? [batch] : []),
  ];
}

function show() {
  const w = words();
  byId("pause").textContent = paused ? w.resume : w.pause;
  byId("pause").ariaPressed = String(paused);
  if (byId("trouble").textContent !== problem) byId("trouble").textContent = problem;
  for (const { name, title } of groups) title.textContent = w[name];
  if (report === null) return;
  const now = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" }).format(new Date(report.at * 1000));
  byId("as-of").textContent = paused ? w.paused : w.updated(now);
  byId("tiles").replaceChildren(...tiles().map(([name, value, note]) => {
    const tile = document.createElement("div");
    const parts = [["dt", "", name], ["dd", "tile-value", value], ["dd", "tile-note", note]].map(([tag, className, text]) => {
      const part = document.createElement(tag);
      part.className = className;
      part.textContent = text;
      return part;
    });
    tile.append(...parts);
    return tile;
  }));
  const times = report.points.map(({ at }) => at);
  const common = { times, every: report.step * (report.step === 10 ? 12 : 10), clock, whole: w.whole, words: { numbers: w.numbers, nothing: w.nothing, time: w.time } };
  for (const { made } of groups) for (const { chart, data } of made) chart.show({ ...common, ...data() });
}

const polling = every(wait, async () => {
  const asked = span();
  try {
    const fresh = await askJSON(`v1/ops?span=${asked}`);
    if (asked !== span()) return;
    report = fresh;
    problem = "";
  } catch (error) {
    problem = error.message;
  }
  show();
});

for (const input of document.querySelectorAll("input[name=span]")) input.addEventListener("change", () => polling.now());
byId("pause").addEventListener("click", () => {
  paused = !paused;
  polling.pause(paused);
  show();
  announce(paused ? words().paused : "");
});

begin("ops", show);
