/* Small charts as inline SVG. Every text is set as text, so what a drone sent is never markup. */

const SVG = "http://www.w3.org/2000/svg";
export const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });

function make(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  return element;
}

/* As wide as its place, so that a text is as large on a phone as anywhere. */
function widthOf(place) {
  return Math.max(document.getElementById(place).clientWidth, 200);
}

function drawing(height, says, width) {
  return make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": says });
}

function replace(place, ...found) {
  document.getElementById(place).replaceChildren(...found);
}

function nothing(place) {
  const note = document.createElement("p");
  note.className = "none";
  note.textContent = "No reports in this range";
  replace(place, note);
}

/* rows: [{name, value, title, alarm, hideName}] as columns. */
export function columns(place, rows, { says, height = 190, values = true }) {
  const width = widthOf(place);
  const most = Math.max(...rows.map((row) => row.value));
  if (!(most > 0)) return nothing(place);
  const svg = drawing(height, says, width);
  const step = width / rows.length;
  const floor = height - 22;
  rows.forEach((row, index) => {
    const tall = Math.max((row.value / most) * (floor - 22), row.value ? 1.5 : 0);
    const middle = index * step + step / 2;
    const wide = Math.min(step * 0.68, 46);
    const bar = make("rect", { x: middle - wide / 2, y: floor - tall, width: wide, height: tall, rx: 3, class: row.alarm ? "bar alarm" : "bar" });
    bar.append(make("title", {}, row.title));
    svg.append(bar);
    if (values) svg.append(make("text", { x: middle, y: floor - tall - 6, "text-anchor": "middle", class: "value" }, whole.format(row.value)));
    if (row.name) svg.append(make("text", { x: middle, y: height - 5, "text-anchor": "middle" }, row.name));
  });
  svg.append(make("line", { x1: 0, x2: width, y1: floor + 0.5, y2: floor + 0.5, class: "axis" }));
  replace(place, svg);
}

/* rows: [{name, value, note}] as lines of bars. */
export function lines(place, rows, { says, most = Math.max(...rows.map((row) => row.value)), show = (row) => whole.format(row.value) }) {
  if (!rows.length) return nothing(place);
  const step = 40;
  const width = widthOf(place);
  const svg = drawing(rows.length * step, says, width);
  rows.forEach((row, index) => {
    const y = index * step;
    svg.append(make("text", { x: 0, y: y + 14 }, row.name.length > 42 ? `${row.name.slice(0, 41)}…` : row.name));
    svg.append(make("text", { x: width, y: y + 14, "text-anchor": "end", class: "value" }, show(row)));
    svg.append(make("rect", { x: 0, y: y + 20, width: width, height: 8, rx: 4, class: "track" }));
    const bar = make("rect", { x: 0, y: y + 20, width: most > 0 ? (row.value / most) * width : 0, height: 8, rx: 4, class: row.alarm ? "bar alarm" : "bar" });
    bar.append(make("title", {}, row.note ?? row.name));
    svg.append(bar);
  });
  replace(place, svg);
}

export function share(value) {
  return value === null ? "–" : percent.format(value);
}
