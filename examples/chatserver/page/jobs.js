// The jobs page: manga are chosen from the catalogue, analysed in the background, and
// watched until they are done.

import { cost, count, seconds } from "./format.js";
import { announce, ask, askJSON, begin } from "./pages.js";
import { words } from "./pages-strings.js";
import { language } from "./strings.js";
import { finding } from "./finding.js";

const most = 100; // manga in a batch
const shown = 100; // jobs that are watched
// The analyses that need no more than a manga.
const types = ["genre_classification", "content_summary", "similar_series", "reading_level", "cover_analysis", "full_enrichment", "checked_enrichment"];
const priorities = ["high", "normal", "low"];
const states = ["queued", "processing", "completed", "failed"];

const byId = (id) => document.getElementById(id);

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// Choosing manga.

const chosen = new Map(); // id → manga
let found = { total: 0, manga: [] };
let asked = 0;

async function search() {
  const number = ++asked;
  try {
    const answer = await askJSON(`v1/manga/catalog?q=${encodeURIComponent(byId("search").value.trim())}`);
    if (number !== asked) return; // another search was faster
    found = answer;
    report("");
  } catch (error) {
    report(error.message);
  }
  showFound();
}

const titleOf = (manga) => (language === "ja" ? manga.title : manga.romaji);

function showFound() {
  const w = words();
  byId("found-count").textContent = w.found(found.total, found.manga.length);
  const inputs = [...byId("found").querySelectorAll("input")];
  if (byId("found").lang === language && inputs.map(({ value }) => value).join() === found.manga.map(({ id }) => id).join()) {
    for (const input of inputs) input.checked = chosen.has(input.value);
    return; // the same list stays, with the focus
  }
  byId("found").lang = language;
  const focused = inputs.find((input) => input === document.activeElement);
  byId("found").replaceChildren(...found.manga.map((manga) => {
    const input = element("input");
    input.type = "checkbox";
    input.value = manga.id;
    input.checked = chosen.has(manga.id);
    input.addEventListener("change", () => {
      if (input.checked && chosen.size >= most) {
        input.checked = false;
        return refuse(words().full(most));
      }
      if (input.checked) chosen.set(manga.id, manga);
      else chosen.delete(manga.id);
      showChosen();
    });
    const title = element("span", "found-title", titleOf(manga));
    title.lang = language;
    const other = element("span", "", language === "ja" ? manga.romaji : manga.title);
    other.lang = language === "ja" ? "en" : "ja";
    const about = [...manga.authors.map((name) => name[language]), String(manga.year), ...manga.genres.slice(0, 3).map((name) => name[language])].join(" · ");
    const line = element("span", "found-about", other, ` · ${about}`);
    return element("li", "", element("label", "", input, title, line));
  }));
  if (focused) (byId("found").querySelector(`input[value="${CSS.escape(focused.value)}"]`) ?? byId("search")).focus();
}

function showChosen() {
  const w = words();
  byId("chosen-count").textContent = w.chosen(chosen.size);
  byId("chosen").replaceChildren(...[...chosen.values()].map((manga) => {
    const title = element("span", "", titleOf(manga));
    title.lang = language;
    const button = element("button", "", "×");
    button.type = "button";
    button.ariaLabel = w.drop(titleOf(manga));
    button.addEventListener("click", () => {
      const next = button.closest("li").nextElementSibling ?? button.closest("li").previousElementSibling;
      const position = next && [...chosen.keys()].indexOf(next.dataset.id);
      chosen.delete(manga.id);
      showChosen();
      showFound();
      const buttons = byId("chosen").querySelectorAll("button");
      (buttons[Math.min(position ?? 0, buttons.length - 1)] ?? byId("search")).focus();
    });
    const entry = element("li", "", title, button);
    entry.dataset.id = manga.id;
    return entry;
  }));
  byId("clear").hidden = chosen.size < 2;
  byId("submit").textContent = w.submit(chosen.size);
  if (chosen.size > 0) refuse("");
}

// refuse says what is wrong with the order.
function refuse(text) {
  byId("order-problem").textContent = text;
}

// report says what is wrong with the server.
function report(text) {
  if (byId("trouble").textContent !== text) byId("trouble").textContent = text;
}

function choices(id, name, all, label, checked) {
  const box = element("div", "", ...all.map((value) => {
    const input = element("input");
    input.type = "radio";
    input.name = name;
    input.value = value;
    input.checked = value === (document.querySelector(`input[name=${name}]:checked`)?.value ?? checked);
    return element("label", "", input, element("span", "", label(value)));
  }));
  byId(id).replaceChildren(byId(id).querySelector("legend"), box);
}

const choice = (name) => document.querySelector(`input[name=${name}]:checked`).value;

// Notes are kept for another try: the server does not give them back.
const storedNotes = "mangaassist.notes.1";
const notes = new Map(readNotes());

function readNotes() {
  try {
    return JSON.parse(sessionStorage.getItem(storedNotes)) ?? [];
  } catch {
    return [];
  }
}

let submitted = []; // the jobs of the last batch, until they are in sight

// submit sends items and reports whether they were accepted.
async function submit(items, priority) {
  let answer;
  let response;
  try {
    response = await ask("v1/manga/batch", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ items, priority }),
    });
    answer = await response.json();
  } catch {
    refuse(words().unreachable);
    return false;
  }
  if (!response.ok) {
    refuse([words().refused, ...(answer.details ?? []).map(({ message }) => message)].join(" "));
    return false;
  }
  submitted = answer.request_ids;
  answer.request_ids.forEach((id, i) => items[i].additional_context && notes.set(id, items[i].additional_context));
  for (const id of [...notes.keys()].slice(0, -most)) notes.delete(id);
  sessionStorage.setItem(storedNotes, JSON.stringify([...notes]));
  refuse("");
  announce(words().submitted(answer.item_count));
  return true;
}

byId("order").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (chosen.size === 0) {
    refuse(words().chooseFirst);
    return byId("search").focus();
  }
  const note = byId("context").value.trim();
  const items = [...chosen.keys()].map((id) => ({ manga_id: id, analysis_type: choice("type"), ...(note ? { additional_context: note } : {}) }));
  byId("submit").disabled = true;
  const accepted = await submit(items, choice("priority"));
  byId("submit").disabled = false;
  if (!accepted) return;
  chosen.clear();
  byId("context").value = "";
  showChosen();
  showFound();
  byId("submit").focus();
});
byId("clear").addEventListener("click", () => {
  chosen.clear();
  showChosen();
  showFound();
  byId("search").focus();
});
byId("search-form").addEventListener("submit", (event) => event.preventDefault());
let typing = 0;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, 200);
});

// Watching jobs. The server sends each one when it changes.

const jobs = new Map(); // request id → its status
let reading = null;

async function watch() {
  if (reading || document.visibilityState !== "visible") return;
  reading = new AbortController();
  const { signal } = reading;
  try {
    const response = await ask(`v1/manga/jobs/events?limit=${shown}`, { signal });
    if (!response.ok) throw new Error(response.status === 429 ? words().tooMany : words().failed);
    report("");
    let rest = "";
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + piece).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data) take(JSON.parse(data.slice(6)));
      }
    }
  } catch (error) {
    if (!signal.aborted) report(error instanceof TypeError ? words().unreachable : error.message);
  }
  reading = null;
  if (!signal.aborted) setTimeout(watch, 2000);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") watch();
  else reading?.abort();
});

let planned = false;
function take(job) {
  jobs.set(job.request_id, job);
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    showBatches();
  });
}

// Showing batches.

const views = new Map(); // batch id → its view

class BatchView {
  #rows = new Map(); // request id → its row
  #ended = null;

  constructor(id) {
    this.title = element("h4");
    this.title.id = `batch-${id}`;
    this.when = element("time", "batch-when");
    this.cost = element("span", "batch-cost");
    this.bar = element("div", "bar");
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-labelledby", this.title.id);
    this.bar.setAttribute("aria-valuemin", "0");
    this.state = element("p", "batch-state");
    this.retry = element("button", "plain");
    this.retry.type = "button";
    this.retry.addEventListener("click", () => this.#retry(this.failed));
    this.head = element("thead");
    this.body = element("tbody");
    this.scroll = element("div", "batch-table", element("table", "", this.head, this.body));
    this.scroll.tabIndex = 0;
    this.scroll.setAttribute("role", "group");
    this.scroll.setAttribute("aria-labelledby", this.title.id);
    this.summary = element("summary");
    this.items = element("details", "numbers", this.summary, this.scroll);
    this.element = element("article", "batch", element("div", "batch-head", this.title, this.when, this.cost), this.bar,
      element("div", "batch-foot", this.state, this.retry), this.items);
    this.element.setAttribute("aria-labelledby", this.title.id);
  }

  // show shows the jobs of the batch. Its items are in sight from the beginning if it is
  // the newest one or not done yet.
  show(list, newest) {
    const w = words();
    const number = Object.fromEntries(states.map((state) => [state, list.filter(({ status }) => status === state).length]));
    const kinds = new Set(list.map(({ analysis_type }) => analysis_type));
    this.title.textContent = w.batchTitle(count(list.length, language), kinds.size === 1 ? kind(list[0].analysis_type) : w.mixed);
    const begun = new Date(Math.min(...list.map(({ created_at }) => created_at)) * 1000);
    this.when.dateTime = begun.toISOString();
    this.when.textContent = `${new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(begun)} · ${w.priority}: ${Object.hasOwn(w.priorities, list[0].priority) ? w.priorities[list[0].priority] : "–"}`;
    const costs = list.map(({ cost_usd }) => cost_usd).filter((amount) => amount !== undefined);
    const amount = cost(costs.reduce((sum, amount) => sum + Number(amount), 0), language);
    const running = number.queued + number.processing > 0;
    this.cost.textContent = costs.length === 0 ? (running ? "" : w.unknownCost) : running ? w.costSoFar(amount) : amount;
    this.state.textContent = w.progress(number.completed, list.length, number.failed);
    this.bar.setAttribute("aria-valuemax", list.length);
    this.bar.setAttribute("aria-valuenow", number.completed + number.failed);
    this.bar.setAttribute("aria-valuetext", this.state.textContent);
    this.bar.replaceChildren(bar(number, list.length));
    this.failed = list.filter(({ status, analysis_type }) => status === "failed" && types.includes(analysis_type));
    this.retry.hidden = this.failed.length < 2;
    this.retry.textContent = w.retryAll(this.failed.length);
    this.head.replaceChildren(element("tr", "", ...[["manga"], ["state"], ["attempts", "wide number"], ["duration", "wide number"], ["cost2", "wide number"], ["result"]].map(([word, className]) => {
      const cell = element("th", className ?? "", w[word]);
      cell.scope = "col";
      return cell;
    })));
    for (const job of list) {
      let row = this.#rows.get(job.request_id);
      if (!row) {
        row = new JobRow((job) => this.#retry([job]));
        this.#rows.set(job.request_id, row);
        this.body.append(row.element, row.more);
      }
      row.show(job);
    }
    const told = this.#ended ?? !list.some(({ request_id }) => submitted.includes(request_id));
    if (!running && !told) announce(w.batchEnded(this.title.textContent, number.completed, number.failed));
    if (this.#ended === null) this.items.open = newest || running || number.failed > 0;
    this.#ended = !running;
    this.summary.textContent = w.items(list.length);
  }

  async #retry(failed) {
    const items = failed.map(({ request_id, manga_id, analysis_type }) => ({ manga_id, analysis_type, ...(notes.has(request_id) ? { additional_context: notes.get(request_id) } : {}) }));
    await submit(items, failed[0].priority ?? "normal");
  }
}

// kind is the name of a type of analysis.
function kind(type = "") {
  return Object.hasOwn(words().types, type) ? words().types[type] : type;
}

// bar is how far a batch is, as a picture.
function bar(number, all) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("viewBox", `0 0 ${all} 1`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true");
  let x = 0;
  for (const state of ["completed", "failed", "processing"]) {
    if (number[state] === 0) continue;
    const part = document.createElementNS(space, "rect");
    for (const [name, value] of Object.entries({ class: `bar-${state}`, x, y: 0, width: number[state], height: 1 })) part.setAttribute(name, value);
    picture.append(part);
    x += number[state];
  }
  return picture;
}

class JobRow {
  #job = null;
  #result = undefined;

  constructor(retry) {
    this.name = element("span");
    this.type = element("span", "job-type");
    const head = element("th", "", this.name, this.type);
    head.scope = "row";
    this.mark = element("span", "mark");
    this.why = element("span", "why");
    this.attempts = element("td", "wide number");
    this.duration = element("td", "wide number");
    this.cost = element("td", "wide number");
    this.price = element("span", "narrow");
    this.act = element("button", "plain");
    this.act.type = "button";
    this.act.addEventListener("click", () => (this.#job.status === "failed" ? retry(this.#job) : this.#toggle()));
    this.element = element("tr", "", head, element("td", "", this.mark, this.price, this.why), this.attempts, this.duration, this.cost, element("td", "", this.act));
    this.finding = element("td", "finding");
    this.finding.colSpan = 6;
    this.more = element("tr", "", this.finding);
    this.more.hidden = true;
  }

  show(job) {
    const w = words();
    this.#job = job;
    const type = kind(job.analysis_type);
    this.name.textContent = job.title ?? job.manga_id ?? (type || job.request_id);
    this.type.textContent = type;
    this.mark.textContent = Object.hasOwn(w.states, job.status) ? w.states[job.status] : job.status;
    this.mark.dataset.state = job.status;
    this.why.textContent = job.error ?? "";
    this.why.lang = "en"; // the server says it in English
    this.attempts.textContent = job.attempts > 0 ? count(job.attempts, language) : "–";
    this.duration.textContent = job.completed_at ? seconds(Math.max(1, job.completed_at - job.created_at) * 1000, language) : "–";
    this.cost.textContent = job.cost_usd === undefined ? "–" : cost(job.cost_usd, language);
    this.price.textContent = this.cost.textContent;
    this.cost.title = job.cost_usd === undefined ? "" : `$${job.cost_usd}`;
    this.act.hidden = job.status !== "completed" && !(job.status === "failed" && types.includes(job.analysis_type));
    const open = !this.more.hidden;
    if (job.status === "failed") {
      this.act.textContent = w.retry;
      this.act.ariaLabel = w.retryOf(this.name.textContent);
    } else {
      this.act.textContent = open ? w.hide : w.show;
      this.act.ariaLabel = (open ? w.hideOf : w.showOf)(this.name.textContent);
      this.act.ariaExpanded = String(open);
    }
    if (open) this.#showResult();
  }

  async #toggle() {
    this.more.hidden = !this.more.hidden;
    this.show(this.#job);
    if (this.more.hidden || this.#result !== undefined) return;
    try {
      this.#result = (await askJSON(`v1/manga/status/${encodeURIComponent(this.#job.request_id)}`)).result ?? null;
    } catch (error) {
      this.more.hidden = true;
      report(error.message);
    }
    this.show(this.#job);
  }

  #showResult() {
    this.finding.replaceChildren(this.#result === undefined ? words().loading : finding(this.#result));
  }
}

function showBatches() {
  const batches = new Map(); // the newest first
  for (const job of [...jobs.values()].sort((a, b) => b.created_at - a.created_at)) {
    const id = job.batch_id ?? job.request_id;
    if (!batches.has(id)) batches.set(id, []);
    batches.get(id).push(job);
  }
  for (const job of [...batches.values()].flat().slice(2 * shown)) jobs.delete(job.request_id);
  byId("no-batches").hidden = batches.size > 0;
  for (const [id, view] of views) {
    if (batches.has(id)) continue;
    view.element.remove();
    views.delete(id);
  }
  let before = null;
  for (const [id, list] of batches) {
    let view = views.get(id);
    if (!view) {
      view = new BatchView(id);
      views.set(id, view);
      if (before) before.after(view.element);
      else byId("batches").prepend(view.element);
    }
    view.show(list, before === null);
    before = view.element;
    if (list.some(({ request_id }) => submitted.includes(request_id))) {
      submitted = [];
      view.element.scrollIntoView({ block: "nearest" });
    }
  }
}

begin("jobs", () => {
  const w = words();
  byId("search").placeholder = w.searchHint;
  choices("types", "type", types, (value) => words().types[value], "genre_classification");
  choices("priorities", "priority", priorities, (value) => words().priorities[value], "normal");
  showFound();
  showChosen();
  showBatches();
});
search();
watch();
