// @ts-check
/* The day's figures against the day before; for today, against the same hours of yesterday. */

import { ask } from "./api.js";
import { drawing, make, path } from "./charts.js";
import { $, dayOf, fine, number, share, whole } from "./dom.js";

const DAY_MS = 86_400_000;
const iso = (time) => new Date(time).toISOString();

/* Loads and shows. Of the filters only `country` counts: tiles are about the day. */
export async function tiles(country = "") {
  const day = await newestDay(country);
  const before = iso(Date.parse(`${day}T00:00:00Z`) - DAY_MS).slice(0, 10);
  const whole_hours = day === iso(Date.now()).slice(0, 10) ? new Date().getUTCHours() : 24;
  const until = (of) =>
    whole_hours === 24 ? {} : { to: `${of}T${String(Math.max(whole_hours - 1, 0)).padStart(2, "0")}` };
  const means = (from, more) => ask("statistics/averages", { from, to: from, country, ...more });
  const [series, now, soFar, earlier] = await Promise.all([
    ask("statistics/series", { group: "hour", from: before, to: day, country }),
    means(day),
    means(`${day}T00`, { to: `${day}T23`, ...until(day) }),
    means(`${before}T00`, { to: `${before}T23`, ...until(before) }),
  ]);
  const hours = byHour(series.series, day);
  const hoursBefore = byHour(series.series, before);
  const sum = (rows, name) => rows.reduce((total, row) => total + (row?.[name] ?? 0), 0);
  const first = (rows) => rows.slice(0, whole_hours);
  head(day, whole_hours);
  const counted = (name, key) =>
    tile(
      name,
      whole.format(sum(hours, key)),
      whole_hours ? change(sum(first(hours), key), sum(first(hoursBefore), key)) : null,
      lines(hours, hoursBefore, key),
    );
  counted("reports", "reports");
  counted("alerts", "alerts");
  tile(
    "peace",
    number(now.peace_score, fine),
    whole_hours ? step(soFar.peace_score, earlier.peace_score, "") : null,
    lines(hours, hoursBefore, "peace_score"),
  );
  tile(
    "battery",
    now.battery === null ? "–" : `${fine.format(now.battery)} %`,
    whole_hours ? step(soFar.battery, earlier.battery, " points") : null,
    lines(hours, hoursBefore, "battery"),
  );
  const lowShare = (rows) => (sum(rows, "reports") ? sum(rows, "low_battery") / sum(rows, "reports") : null);
  const points = (rows) => (lowShare(rows) === null ? null : lowShare(rows) * 100);
  const lowHours = (rows) => rows.map((row) => (row?.reports ? { low: row.low_battery / row.reports } : undefined));
  tile(
    "low",
    share(lowShare(hours)),
    whole_hours ? step(points(first(hours)), points(first(hoursBefore)), " points") : null,
    lines(lowHours(hours), lowHours(hoursBefore), "low"),
  );
}

/* Today, or the last day with reports: a replay has past days only. */
async function newestDay(country) {
  const today = iso(Date.now()).slice(0, 10);
  const current = await ask("statistics/averages", { from: today, to: today, country });
  if (current.reports) return today;
  const known = await ask("statistics/averages").catch(() => ({ to: null }));
  return known.to && known.to.slice(0, 10) < today ? known.to.slice(0, 10) : today;
}

function byHour(rows, day) {
  const byStart = new Map(rows.map((row) => [row.start, row]));
  return Array.from({ length: 24 }, (_, hour) => byStart.get(`${day}T${String(hour).padStart(2, "0")}`));
}

function head(day, hours) {
  const isToday = hours < 24;
  $("tiles-day").textContent = isToday ? "Today" : dayOf(day);
  $("tiles-note").textContent = isToday
    ? `${dayOf(day)}, UTC. Arrows: against yesterday to ${String(hours).padStart(2, "0")}:00`
    : "UTC, the latest day with reports. Arrows: against the day before";
}

const arrow = (more) => (more > 0 ? "▲" : "▼");

function change(now, before) {
  if (!before) return now ? "none before" : null; // null if both days have nothing
  const part = now / before - 1;
  return Math.abs(part) < 0.0005 ? "as before" : `${arrow(part)} ${share(Math.abs(part))}`;
}

function step(now, before, unit) {
  if (now === null || before === null) return null;
  const by = Math.round((now - before) * 10) / 10;
  return by === 0 ? "as before" : `${arrow(by)} ${fine.format(Math.abs(by))}${unit}`;
}

function tile(name, value, against, spark) {
  const place = $(`tile-${name}`);
  const shown = place.querySelector(".value");
  if (shown.textContent !== value) shown.textContent = value;
  place.querySelector(".against").textContent = against ?? "";
  place.querySelector(".spark").replaceChildren(spark);
}

/* Today's hours as a line over yesterday's, without the present hour, which always seems to fall. */
function lines(now, before, key) {
  const values = (rows) => rows.map((row, x) => ({ x, y: row?.reports === 0 ? null : (row?.[key] ?? null) }));
  const [width, height] = [112, 34];
  const svg = drawing(width, height);
  const current = new Date().getUTCHours();
  const goesOn = $("tiles-day").textContent === "Today";
  const [today, yesterday] = [
    values(now).map((point) => (goesOn && point.x >= current ? { ...point, y: null } : point)),
    values(before),
  ];
  const all = [...today, ...yesterday].map((point) => point.y).filter((y) => y !== null);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const at = ({ x, y }) => [
    2 + (x / 23) * (width - 4),
    most > least ? height - 3 - ((y - least) / (most - least)) * (height - 6) : height / 2,
  ];
  svg.append(
    make("path", { d: path(yesterday, at), class: "then" }),
    make("path", { d: path(today, at), class: "now" }),
  );
  return svg;
}
