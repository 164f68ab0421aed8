// @ts-check
/* The statistics over the chosen range, with the charts of the original's notebook. */

import { ask } from "./api.js";
import { bars, columns } from "./charts.js";
import { $, capital, dayOf, el, fine, momentOf, number, share, whole, words, isVersion } from "./dom.js";
import { line } from "./charts_line.js";
import { state } from "./state.js";

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const PARTS = { night: "0–5", morning: "6–11", afternoon: "12–17", evening: "18–23" };
const MOST_COUNTRIES = 300;
let loads = 0;
let last = null;

/* Loads and draws all; a late answer to an earlier call is dropped. Returns the range's last day, or null. */
export async function figures() {
  const load = ++loads;
  const { from, to, country, tz } = state();
  const range = { from, to, country };
  const zoned = { ...range, tz };
  const days = (text) => text?.slice(0, 10);
  const [parts, countries, means, week, low, scores, kinds] = await Promise.all([
    ask("statistics/alerts-by-part-of-day", zoned),
    ask("statistics/alerts-by-country", { from, to, tz, limit: MOST_COUNTRIES }),
    ask("statistics/averages", zoned),
    ask("statistics/alerts-by-weekday", zoned),
    ask("statistics/low-battery", { from: days(from), to: days(to), country }),
    ask("statistics/alerts-by-peace-score", zoned),
    ask("statistics/alerts-by-kind", { from: days(from), to: days(to), country }),
  ]);
  const series = await ask("statistics/series", { ...zoned, group: groupOf(means) });
  if (load !== loads) return;
  last = { parts, countries: countries.countries, means, week, low, scores, kinds, series };
  draw();
  return means.to;
}

/* Redraws the loaded answers, for another width or threshold. */
export function draw() {
  if (!last) return;
  note(last.means);
  partsOfDay(last.parts);
  bars($("countries-five"), countryRows(last.countries.filter((row) => row.alerts).slice(0, 5)), {
    says: "Alerts by country",
    empty: "No alerts in this range.",
  });
  overRange(last.series);
  meansOf(last.means, last.parts);
  weekdays(last.week);
  peace(last.scores);
  battery(last.low);
  byKind(last.kinds);
  above(last.countries);
}

function groupOf({ from, to }) {
  if (!from || !to) return "day";
  const days = (Date.parse(to.slice(0, 10)) - Date.parse(from.slice(0, 10))) / 86_400_000 + 1;
  if (days <= 3) return "hour";
  return days <= 120 ? "day" : "week";
}

function note(means) {
  const range = means.from
    ? means.from === means.to
      ? dayOf(means.from)
      : `${dayOf(means.from)} to ${dayOf(means.to)}`
    : "nothing has landed yet";
  const version = isVersion(means.version) ? ` · version ${means.version}` : "";
  $("figures-note").textContent =
    `${means.country ? `${means.country}, ` : ""}${range} (${means.tz})${version}${means.as_of ? `, ${momentOf(means.as_of)} UTC` : ""}`;
}

function partsOfDay(answer) {
  const most = Math.max(...answer.hours);
  const kind = (hour) => (answer.hours[hour] === most ? "alarm" : "alarm soft");
  columns(
    $("parts"),
    answer.hours.map((value, hour) => ({
      name: `${hour}:00`,
      label: hour % 3 ? "" : `${String(hour).padStart(2, "0")}`,
      value,
      kind: kind(hour),
      title: `${hour}:00 to ${hour}:59: ${whole.format(value)} alerts`,
    })),
    { says: "Alerts in each hour of the day", values: false },
  );
  $("parts-note").textContent = Object.entries(answer.parts)
    .map(([name, alerts]) => `${name} (${PARTS[name]} h) ${whole.format(alerts)}`)
    .join(" · ");
}

function countryRows(rows) {
  return rows.map((row) => ({
    name: row.country,
    value: row.alerts,
    kind: "alarm",
    shown: `${whole.format(row.alerts)} · ${share(row.reports ? row.alerts / row.reports : null)}`,
    title: `${row.country}: ${whole.format(row.alerts)} alerts in ${whole.format(row.reports)} reports`,
  }));
}

const MEASURES = {
  alerts: ["alerts", whole, "alarm"],
  reports: ["reports", whole, "calm"],
  peace_score: ["mean peace score", fine, "calm", 10],
  battery: ["mean battery, percent", fine, "calm", 100],
  low_battery: ["reports with low battery", whole, "moderate"],
};

function overRange(answer) {
  const measure = state().measure in MEASURES ? state().measure : "alerts";
  const [name, form, kind, most] = MEASURES[measure];
  $("series-note").textContent = `by ${answer.group}; the first and the last may be incomplete`;
  const until = hourIn(answer.tz, answer.as_of);
  const points = answer.series.map((row) => ({
    name: row.start,
    y: until && row.start > until ? null : row[measure],
    title: `${row.start.replace("T", " ")}: ${number(row[measure], form)} ${name}`,
  }));
  line($("series"), points, { says: `${name} by ${answer.group}`, kind, most });
}

/* The local hour in `zone` at `time`, written like an interval's start: intervals that start later have no data yet. */
export function hourIn(zone, time) {
  if (!time) return "";
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    hourCycle: "h23",
  }).formatToParts(new Date(time));
  const { year, month, day, hour } = Object.fromEntries(parts.map((part) => [part.type, part.value]));
  return `${year}-${month}-${day}T${hour}`;
}

function meansOf(means, parts) {
  const fact = (name, value, small) => [
    el("dt", {}, name),
    el("dd", {}, value, small ? el("small", {}, ` ${small}`) : ""),
  ];
  $("means").replaceChildren(
    el(
      "dl",
      { class: "facts" },
      ...fact("Reports", whole.format(means.reports)),
      ...fact(
        "Alerts",
        whole.format(parts.total),
        means.reports ? `${share(parts.total / means.reports)} of reports` : "",
      ),
      ...fact("Mean battery", means.battery === null ? "–" : `${fine.format(means.battery)} %`),
      ...fact("Mean peace score", number(means.peace_score, fine), "1 unrest, 10 peace"),
    ),
  );
}

function weekdays(answer) {
  columns(
    $("weekdays"),
    answer.weekdays.map((row) => ({
      name: DAYS[row.weekday - 1],
      value: row.alerts,
      kind: row.weekday > 5 ? "alarm" : "alarm soft",
      title: `${DAYS[row.weekday - 1]}: ${whole.format(row.alerts)} alerts on ${row.days} days`,
    })),
    { says: "Alerts by day of the week" },
  );
  const daily = (part) => number(part.alerts_per_day, fine);
  $("week-note").textContent =
    `per working day ${daily(answer.working_days)} · per day of the weekend ${daily(answer.weekend)}`;
}

function peace(answer) {
  columns(
    $("scores"),
    answer.scores.map((row) => ({
      name: String(row.peace_score),
      value: row.alerts,
      kind: row.peace_score < 4 ? "alarm" : "alarm soft",
      title: `Score ${row.peace_score}: ${whole.format(row.alerts)} alerts, ${whole.format(row.reports)} reports`,
    })),
    { says: "Alerts by peace score" },
  );
}

function battery(answer) {
  const rows = [
    ["Drones", answer.drones],
    ["Reports", answer.reports],
  ].map(([name, part]) => ({
    name: `${name}: ${whole.format(part.low)} of ${whole.format(part.total)}`,
    value: part.share ?? 0,
    shown: share(part.share),
    kind: "moderate",
  }));
  bars($("low"), rows, { says: "Share with low battery", most: 1 });
  $("low-note").textContent =
    `below ${answer.threshold} %; drones by their last report${!isVersion(answer.batch_version) ? "" : `, at version ${answer.batch_version}`}`;
}

const counted = (count, noun) => `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;

function byKind(answer) {
  const rows = answer.kinds.map((row) => ({
    name: capital(words(row.kind)),
    value: row.alerts,
    kind: "alarm",
    shown: `${counted(row.alerts, "alert")}, ${counted(row.incidents, "incident")}`,
    title: `${words(row.kind)}: ${whole.format(row.alerts)} alerts, ${whole.format(row.incidents)} incidents began`,
  }));
  bars($("kinds"), rows, {
    says: "Alerts by kind, and the incidents that began with them",
    empty: "The batch layer has counted no alerts in this range.",
  });
  $("kinds-note").textContent =
    `and the incidents that began with them${!isVersion(answer.batch_version) ? "" : `, at version ${answer.batch_version} of the table of alerts`}`;
}

function above(countries) {
  const least = Number(state().above || 1);
  const rows = countries.filter((row) => row.alerts >= least && row.alerts > 0);
  const most = Math.max(...countries.map((row) => row.alerts), 0);
  const place = $("countries-above");
  if (!rows.length)
    return place.replaceChildren(el("p", { class: "none" }, `No country has ${whole.format(least)} alerts or more.`));
  place.replaceChildren(
    el(
      "ol",
      { class: "ranked" },
      ...rows.map((row) => {
        const bar = el("progress", { max: most, value: row.alerts, "aria-hidden": "true" });
        const query = new URLSearchParams({ ...state(), country: row.country });
        return el(
          "li",
          {},
          el("a", { href: `?${query}`, title: row.country }, row.country),
          el("span", { class: "n" }, whole.format(row.alerts)),
          bar,
        );
      }),
    ),
  );
}
