import { columns, fine, lines, share, whole } from "./charts.js";

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const STATISTICS = ["alerts-by-part-of-day", "alerts-by-country", "averages", "alerts-by-weekday", "low-battery", "alerts-by-peace-score"];
const REFRESH_MS = 5000; // about as often as landing commits
const form = document.getElementById("range");
const state = document.getElementById("state");
const put = (id, text) => { document.getElementById(id).textContent = text; };

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
  return body;
}

function chosen() {
  const range = new URLSearchParams();
  for (const name of ["from", "to"]) if (form.elements[name].value) range.set(name, form.elements[name].value);
  return range;
}

async function figures() {
  const range = chosen().toString();
  const [parts, countries, means, week, low, scores] = await Promise.all(
    STATISTICS.map((name) => ask(`/api/v1/statistics/${name}${range ? `?${range}` : ""}`)));
  tiles(means, parts);
  day(parts);
  lines("countries", countries.countries.map((row) => ({ name: row.country, value: row.alerts, alarm: true, note: `${whole.format(row.reports)} reports` })),
    { says: "Countries with most alerts" });
  columns("weekdays", week.weekdays.map((row) => ({ name: DAYS[row.weekday - 1], value: row.alerts, alarm: row.weekday > 5, title: `${DAYS[row.weekday - 1]}: ${row.alerts} alerts on ${row.days} days` })),
    { says: "Alerts by day of the week" });
  const perDay = (found) => (found.alerts_per_day === null ? "–" : fine.format(found.alerts_per_day));
  put("week-note", `a working day ${perDay(week.working_days)} · a weekend day ${perDay(week.weekend)}`);
  battery(low);
  columns("scores", scores.scores.map((row) => ({ name: String(row.peace_score), value: row.alerts, alarm: row.peace_score < 4, title: `score ${row.peace_score}: ${whole.format(row.alerts)} alerts, ${whole.format(row.reports)} reports` })),
    { says: "Alerts by peace score" });
  said(means);
}

function tiles(means, parts) {
  put("reports", whole.format(means.reports));
  put("alerts-total", whole.format(parts.total));
  put("alerts-share", means.reports ? `${share(parts.total / means.reports)} of reports` : "");
  put("peace", means.peace_score === null ? "–" : fine.format(means.peace_score));
  put("battery", means.battery === null ? "–" : `${fine.format(means.battery)} %`);
}

function day(parts) {
  columns("parts", parts.hours.map((value, hour) => ({ name: hour % 3 ? "" : String(hour).padStart(2, "0"), value, title: `${hour}:00 – ${hour}:59: ${whole.format(value)} alerts` })),
    { says: "Alerts in each hour of the day", height: 170, values: false });
  put("parts-note", Object.entries(parts.parts).map(([name, alerts]) => `${name} ${whole.format(alerts)}`).join(" · "));
}

function battery(low) {
  const rows = [["Drones", low.drones], ["Reports", low.reports]].map(([name, found]) => ({
    name: `${name}: ${whole.format(found.low)} of ${whole.format(found.total)}`, value: found.share ?? 0, shown: share(found.share) }));
  lines("low", rows, { says: "Share of drones and reports with low battery", most: 1, show: (row) => row.shown });
}

function said(figure) {
  state.className = "";
  const time = figure.as_of ? new Date(figure.as_of).toLocaleString() : "";
  put("state", figure.version < 0 ? "Nothing has landed yet" : `${figure.from ?? "no reports"} to ${figure.to ?? "–"} (UTC) · version ${figure.version}, ${time}`);
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function item(alert) {
  const line = element("li", ["critical", "high", "moderate"].includes(alert.severity) ? alert.severity : "", "");
  const top = element("div", "top", "");
  const time = element("time", "", new Date(alert.raised_at).toLocaleTimeString());
  time.dateTime = alert.raised_at;
  top.append(element("span", "severity", `${alert.severity} · ${String(alert.kind).replace("_", " ")}`), time);
  line.append(top, element("p", "place", `${alert.city}, ${alert.country}`));
  if (alert.message) line.append(element("p", "heard", alert.message));
  const worst = alert.worst_score === null ? "nobody seen" : `peace score ${alert.worst_score}`;
  line.append(element("p", "who", `${alert.drone_id} · ${worst}${alert.delivered_at ? "" : " · not yet in Discord"}`));
  return line;
}

async function newest() {
  const found = await ask("/api/v1/alerts?limit=12");
  const list = document.getElementById("alerts");
  if (found.alerts.length) list.replaceChildren(...found.alerts.map(item));
  else list.replaceChildren(element("li", "none", "No alerts yet"));
}

async function refresh() {
  try {
    await Promise.all([figures(), newest()]);
  } catch (error) {
    state.className = "bad";
    put("state", `The figures cannot be shown: ${error.message}`);
  }
}

function show(event) {
  event?.preventDefault();
  const range = chosen().toString();
  history.replaceState(null, "", range ? `?${range}` : location.pathname);
  refresh();
}

for (const [name, value] of new URLSearchParams(location.search)) if (form.elements[name]) form.elements[name].value = value;
form.addEventListener("submit", show);
form.addEventListener("reset", () => setTimeout(show));
refresh();
let resized;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(refresh, 200); });
setInterval(() => document.hidden || refresh(), REFRESH_MS);
