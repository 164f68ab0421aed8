// @ts-check
/* Small charts as SVG, drawn at the width of their place, so that text has its normal size on a phone. Every text is set
   as text, so what a drone sent is never markup. Each chart has a hidden table of its rows, for screen readers. */

import { el, whole } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
export const TEXT = 12;

export function make(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes))
    element.setAttribute(key, typeof value === "number" ? Math.round(value * 100) / 100 : value);
  if (text !== "") element.textContent = text;
  return element;
}

export const drawing = (width, height) =>
  make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
export const widthOf = (place) => Math.max(place.clientWidth, 160);

/* Puts a chart in its place, with its rows [[name, value], …] for screen readers. */
export function put(place, svg, says, rows) {
  const table = el(
    "table",
    {},
    el("caption", {}, says),
    el(
      "tbody",
      {},
      ...rows.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value))),
    ),
  );
  place.replaceChildren(svg, el("div", { class: "hidden" }, table)); // a table itself grows with its longest name
}

export function nothing(place, text = "No reports in this range.") {
  place.replaceChildren(el("p", { class: "none" }, text));
}

/* A round number at or above `value`, for the top of an axis. */
export function top(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

export function axis(svg, { width, left, floor, height, most, show = whole.format.bind(whole) }) {
  for (const part of [0, 0.5, 1]) {
    const y = floor - part * height;
    svg.append(make("line", { x1: left, x2: width, y1: y, y2: y, class: part ? "grid" : "axis" }));
    svg.append(make("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, show(part * most)));
  }
}

/* rows: [{name, value, title, kind, label}] as columns; `kind` is a class: alarm, calm, soft. */
export function columns(place, rows, { says, tall = 150, values = true }) {
  const most = Math.max(...rows.map((row) => row.value));
  if (!(most > 0)) return nothing(place);
  const width = widthOf(place);
  const [over, under] = [values ? 20 : 8, 22];
  const left = values ? 0 : 8 + 7 * whole.format(top(most)).length;
  const floor = over + tall;
  const scale = tall / (values ? most : top(most));
  const svg = drawing(width, floor + under);
  if (values) svg.append(make("line", { x1: 0, x2: width, y1: floor, y2: floor, class: "axis" }));
  else axis(svg, { width, left, floor, height: tall, most: top(most) });
  const step = (width - left) / rows.length;
  const wide = Math.min(Math.max(step - 2, step * 0.78), 64);
  rows.forEach((row, index) => {
    const high = row.value ? Math.max(row.value * scale, 1.5) : 0;
    const middle = left + (index + 0.5) * step;
    const bar = make("rect", {
      x: middle - wide / 2,
      y: floor - high,
      width: wide,
      height: high,
      class: `bar ${row.kind ?? ""}`,
    });
    bar.append(make("title", {}, row.title ?? `${row.name}: ${whole.format(row.value)}`));
    svg.append(bar);
    if (values)
      svg.append(
        make(
          "text",
          { x: middle, y: floor - high - 6, "text-anchor": "middle", class: "value" },
          whole.format(row.value),
        ),
      );
    if (row.label ?? row.name)
      svg.append(make("text", { x: middle, y: floor + 16, "text-anchor": "middle" }, row.label ?? row.name));
  });
  put(
    place,
    svg,
    says,
    rows.map((row) => [row.name, whole.format(row.value)]),
  );
}

/** rows: [{name, value, shown, title, kind}] as bars below each other; `most` is the value of a full bar.
    @param {HTMLElement} place
    @param {{name: string, value: number, shown?: string, title?: string, kind?: string}[]} rows
    @param {{says: string, most?: number, empty?: string}} options */
export function bars(place, rows, { says, most = Math.max(...rows.map((row) => row.value)), empty }) {
  if (!rows.length || !(most > 0)) return nothing(place, empty);
  const width = widthOf(place);
  const step = 37;
  const svg = drawing(width, rows.length * step);
  const room = Math.floor((width - 90) / 7);
  rows.forEach((row, index) => {
    const y = index * step;
    svg.append(
      make(
        "text",
        { x: 0, y: y + 15, class: "name" },
        row.name.length > room ? `${row.name.slice(0, room - 1)}…` : row.name,
      ),
    );
    svg.append(
      make("text", { x: width, y: y + 15, "text-anchor": "end", class: "value" }, row.shown ?? whole.format(row.value)),
    );
    svg.append(make("rect", { x: 0, y: y + 21, width, height: 7, class: "track" }));
    const bar = make("rect", {
      x: 0,
      y: y + 21,
      width: Math.max((row.value / most) * width, row.value ? 1.5 : 0),
      height: 7,
      class: `bar ${row.kind ?? ""}`,
    });
    bar.append(make("title", {}, row.title ?? row.name));
    svg.append(bar);
  });
  put(
    place,
    svg,
    says,
    rows.map((row) => [row.name, row.shown ?? whole.format(row.value)]),
  );
}

/* points: [{x, y}] in the order of x, in numbers; null y is a gap. */
export function path(points, at) {
  let text = "";
  let drawn = false;
  for (const point of points) {
    if (point.y === null) {
      drawn = false;
      continue;
    }
    const [x, y] = at(point);
    text += `${drawn ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawn = true;
  }
  return text;
}
