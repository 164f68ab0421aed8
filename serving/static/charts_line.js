// @ts-check
/* One or two lines over time, with a dot where the pointer is. */

import { axis, drawing, make, nothing, path, put, top, widthOf } from "./charts.js";
import { whole } from "./dom.js";

const TICK = 72; // pixels between names of days and hours

/* points: [{name, y, title}], one interval each; `name` starts with a day. */
export function line(place, points, { says, tall = 150, most, show = whole.format.bind(whole), kind = "alarm" }) {
  const known = points.filter((point) => point.y !== null);
  if (!known.length) return nothing(place);
  const width = widthOf(place);
  const limit = most ?? top(Math.max(...known.map((point) => point.y), 1));
  const left = 8 + 7 * show(limit).length;
  const [over, floor] = [8, 8 + tall];
  const svg = drawing(width, floor + 22);
  axis(svg, { width, left, floor, height: tall, most: limit, show });
  const step = points.length > 1 ? (width - left - 8) / (points.length - 1) : 0;
  const at = ({ x, y }) => [
    points.length > 1 ? left + x * step : (left + width) / 2,
    floor - (y / limit) * (floor - over),
  ];
  const placed = points.map((point, x) => ({ ...point, x }));
  const drawn = path(placed, at);
  const end = points.findLastIndex((point) => point.y !== null); // after it there is no data yet
  const isUnbroken = known.length === end + 1 && end > 0;
  if (isUnbroken)
    svg.append(
      make("path", {
        d: `${drawn}L${at({ x: end, y: 0 }).join(" ")}L${at({ x: 0, y: 0 }).join(" ")}Z`,
        class: `area ${kind}`,
      }),
    );
  svg.append(make("path", { d: drawn, class: `line ${kind}` }));
  ticks(svg, points, at, floor);
  dots(svg, placed, at, kind, step);
  put(
    place,
    svg,
    says,
    thinned(points).map((point) => [point.name.replace("T", " "), point.y === null ? "–" : show(point.y)]),
  );
}

function ticks(svg, points, at, floor) {
  const wide = at({ x: points.length - 1, y: 0 })[0] - at({ x: 0, y: 0 })[0];
  const every = Math.max(1, Math.ceil(points.length / Math.min(Math.max(Math.floor(wide / TICK), 2), 7)));
  let before = "";
  points.forEach((point, x) => {
    if (x % every || tick(point.name) === before) return;
    before = tick(point.name);
    const anchor = x === 0 ? "start" : "middle";
    if (points.length - x >= every / 2 || x === 0)
      svg.append(
        make(
          "text",
          { x: at({ x, y: 0 })[0], y: floor + 16, "text-anchor": points.length === 1 ? "middle" : anchor },
          tick(point.name),
        ),
      );
  });
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function tick(name) {
  const [, month, day, hour, minute = "00"] = /^\d+-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d))?)?/.exec(name) ?? [];
  if (hour && `${hour}:${minute}` !== "00:00") return `${hour}:${minute}`;
  return day ? `${Number(day)} ${MONTHS[Number(month) - 1]}` : name;
}

/* A wide invisible bar over each point that shows its title. */
function dots(svg, points, at, kind, step) {
  if (points.length > 800) return;
  for (const point of points) {
    if (point.y === null) continue;
    const [x, y] = at(point);
    const group = make("g", { class: "point" });
    const bar = make("rect", {
      x: x - Math.max(step, 6) / 2,
      y: 0,
      width: Math.max(step, 6),
      height: 160,
      class: "catch",
    });
    bar.append(make("title", {}, point.title ?? point.name));
    group.append(
      make("circle", { cx: x, cy: y, r: 3.2, class: `dot ${kind}${points.length === 1 ? " only" : ""}` }),
      bar,
    );
    svg.append(group);
  }
}

/* As many rows as somebody can listen to. */
function thinned(points) {
  const every = Math.ceil(points.length / 60);
  return points.filter((_, index) => index % every === 0);
}
