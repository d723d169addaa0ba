// Charts of a series of points in time, as SVG that is built element by element, each with
// a table of its numbers.

const space = "http://www.w3.org/2000/svg";
const height = 176;
const margin = { top: 10, right: 10, bottom: 24 };
const letter = 6.6; // the width of a figure of the labels, in pixels

function draw(name, attributes, ...children) {
  const element = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// ticks are the values of the horizontal lines: 0 and up to four more, in steps of 1, 2 or 5.
export function ticks(most, whole) {
  const rough = (most || 1) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  if (whole) step = Math.max(1, Math.round(step));
  const list = [];
  for (let i = 0; i < 2 || list.at(-1) < most; i++) list.push(i * step);
  return list;
}

let charts = 0;

export class Chart {
  #kind;
  #data = null;
  #number = ++charts;
  #width = 0;

  // kind is "bars", which are stacked, or "lines".
  constructor(kind) {
    this.#kind = kind;
    this.title = element("h4", "chart-title");
    this.title.id = `chart-${this.#number}`;
    this.gist = element("p", "chart-gist");
    this.legend = element("ul", "legend");
    this.picture = draw("svg", { role: "img", "aria-labelledby": this.title.id, height, width: "100%" });
    this.plot = element("div", "plot", this.picture);
    this.caption = element("caption", "unseen");
    this.head = element("thead");
    this.body = element("tbody");
    this.summary = element("summary");
    this.scroll = element("div", "numbers-scroll", element("table", "", this.caption, this.head, this.body));
    this.scroll.tabIndex = 0;
    this.scroll.setAttribute("role", "group");
    this.scroll.setAttribute("aria-labelledby", this.title.id);
    this.numbers = element("details", "numbers", this.summary, this.scroll);
    this.numbers.addEventListener("toggle", () => this.#showTable());
    this.element = element("figure", `chart chart-${kind}`, element("figcaption", "", this.title, this.gist), this.plot, this.legend, this.numbers);
    this.element.setAttribute("aria-labelledby", this.title.id);
    this.picture.addEventListener("pointermove", (event) => this.#point(event));
    this.picture.addEventListener("pointerleave", () => this.#showLegend());
    new ResizeObserver(([{ contentRect }]) => {
      if (Math.round(contentRect.width) === this.#width) return;
      this.#width = Math.round(contentRect.width);
      this.#draw();
    }).observe(this.plot);
  }

  // show draws data: the words of the chart, times in seconds, of which those that can be
  // divided by every are written below, and the series. A series is {name, values, color,
  // total}, a value null where there is none, and whole says what the total is of; format
  // writes a value, axis one beside a line.
  show(data) {
    this.#data = data;
    this.title.textContent = data.title;
    this.gist.textContent = data.gist;
    this.summary.textContent = data.words.numbers;
    this.caption.textContent = data.title;
    this.picture.setAttribute("aria-label", `${data.title}. ${data.gist}`);
    this.picture.removeAttribute("aria-labelledby");
    this.#draw();
    this.#showLegend();
    this.#showTable();
  }

  get #empty() {
    return this.#data.series.every(({ values }) => values.every((value) => !value));
  }

  #draw() {
    const data = this.#data;
    if (!data || this.#width === 0) return;
    const width = this.#width;
    const heights = data.times.map((_, i) => {
      const values = data.series.map(({ values }) => values[i] ?? 0);
      return this.#kind === "bars" ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values);
    });
    const lines = ticks(Math.max(...heights), data.integers);
    const labels = lines.map(data.axis);
    const left = Math.ceil(Math.max(...labels.map((label) => label.length)) * letter) + 10;
    this.x = (i) => left + ((i + 0.5) * (width - left - margin.right)) / data.times.length;
    this.band = (width - left - margin.right) / data.times.length;
    this.left = left;
    const bottom = height - margin.bottom;
    const y = (value) => bottom - (value / lines.at(-1)) * (bottom - margin.top);
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const parts = [];
    lines.forEach((value, i) => {
      parts.push(draw("line", { class: i === 0 ? "base" : "rule", x1: left, x2: width - margin.right, y1: y(value), y2: y(value) }));
      parts.push(draw("text", { class: "tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, labels[i]));
    });
    const every = data.every * (width < 420 ? 2 : 1);
    data.times.forEach((time, i) => {
      if (time % every !== 0 || this.x(i) < left + 16 || this.x(i) > width - margin.right - 14) return;
      parts.push(draw("text", { class: "tick", x: this.x(i), y: height - 7, "text-anchor": "middle" }, data.clock(time)));
    });
    if (this.#empty) {
      parts.push(draw("text", { class: "nothing", x: (left + width) / 2, y: (margin.top + bottom) / 2 + 4, "text-anchor": "middle" }, data.words.nothing));
    } else if (this.#kind === "bars") {
      parts.push(...this.#bars(y));
    } else {
      for (const series of data.series) parts.push(...this.#line(series, y));
    }
    this.guide = draw("line", { class: "guide", y1: margin.top, y2: bottom, x1: 0, x2: 0, visibility: "hidden" });
    this.picture.replaceChildren(...parts, this.guide);
  }

  #bars(y) {
    const { series, times } = this.#data;
    const width = Math.max(1.5, Math.min(this.band * 0.74, 14));
    const bars = [];
    times.forEach((_, i) => {
      let from = 0;
      for (const { values, color } of series) {
        if (!values[i]) continue;
        const to = from + values[i];
        bars.push(draw("rect", { class: `fill-${color}`, x: (this.x(i) - width / 2).toFixed(2), width: width.toFixed(2), y: y(to).toFixed(2), height: Math.max(1, y(from) - y(to)).toFixed(2) }));
        from = to;
      }
    });
    return bars;
  }

  #line({ values, color }, y) {
    const parts = [];
    let path = "";
    let length = 0;
    const end = (i) => {
      if (length === 1) parts.push(draw("circle", { class: `fill-${color}`, cx: this.x(i - 1).toFixed(2), cy: y(values[i - 1]).toFixed(2), r: 2.5 }));
      length = 0;
    };
    values.forEach((value, i) => {
      if (value === null || value === undefined) return end(i);
      path += `${length === 0 ? "M" : "L"}${this.x(i).toFixed(2)} ${y(value).toFixed(2)}`;
      length++;
    });
    end(values.length);
    if (path) parts.push(draw("path", { class: `line line-${color}`, d: path }));
    return parts;
  }

  // #point shows the values at the time under the pointer.
  #point(event) {
    if (!this.#data || this.#empty) return;
    const x = event.clientX - this.picture.getBoundingClientRect().left;
    const i = Math.max(0, Math.min(this.#data.times.length - 1, Math.floor((x - this.left) / this.band)));
    this.guide.setAttribute("x1", this.x(i));
    this.guide.setAttribute("x2", this.x(i));
    this.guide.setAttribute("visibility", "visible");
    this.#showLegend(i);
  }

  #showLegend(at = -1) {
    const data = this.#data;
    const { series, times, format, clock } = data;
    if (at < 0) this.guide?.setAttribute("visibility", "hidden");
    this.legend.replaceChildren(...series.map(({ name, values, color, total }) => {
      const swatch = draw("svg", { class: "swatch", viewBox: "0 0 14 10", "aria-hidden": "true" },
        this.#kind === "bars" ? draw("rect", { class: `fill-${color}`, width: 10, height: 10, x: 2, rx: 1 }) : draw("path", { class: `line line-${color}`, d: "M0 5H14" }));
      const value = at < 0 ? total : values[at];
      return element("li", "", swatch, element("span", "", name), element("b", "", value === null || value === undefined ? "–" : format(value)));
    }), element("li", "legend-time", at < 0 ? data.whole : clock(times[at], true)));
  }

  #showTable() {
    if (!this.numbers.open || !this.#data) return;
    const { series, times, format, clock, words } = this.#data;
    const header = (text, scope) => {
      const cell = element("th", "", text);
      cell.scope = scope;
      return cell;
    };
    this.head.replaceChildren(element("tr", "", header(words.time, "col"), ...series.map(({ name }) => header(name, "col"))));
    const rows = times.map((time, i) => ({ time, values: series.map(({ values }) => values[i] ?? null) }))
      .filter(({ values }) => values.some((value) => value))
      .reverse()
      .map(({ time, values }) => element("tr", "", header(clock(time, true), "row"), ...values.map((value) => element("td", "", value === null ? "–" : format(value)))));
    if (rows.length === 0) {
      const cell = element("td", "", words.nothing);
      cell.colSpan = series.length + 1;
      rows.push(element("tr", "", cell));
    }
    this.body.replaceChildren(...rows);
  }
}
