// @ts-check
/* One drone: its last report, and the track, battery and reports of a day; its newest alerts. */

import { row as alertRow } from "./alerts.js";
import { ask } from "./api.js";
import { line } from "./charts_line.js";
import { $, dayOf, el, fine, number, placeOf, updateAges, since, spoken, throttled, timeOf, whole } from "./dom.js";
import { makeMap } from "./map.js";
import { wholeMessage } from "./records.js";
import { signedIn } from "./session.js";
import { showTrack } from "./map_track.js";
import { keep, state } from "./state.js";

const SHOWN = 60;
const DAY_MS = 86_400_000;
const id = $("drone").dataset.id;
const path = `drones/${encodeURIComponent(id)}`;
const day = document.forms.range.elements.date;
const track = showTrack(makeMap("map"));
let rows = [];

async function last() {
  try {
    const drone = await ask(path);
    $("last").replaceChildren(
      `${placeOf(drone)}, battery ${fine.format(drone.battery)} %${drone.low ? ", low" : ""}. Last report `,
      since(drone.reported_at),
      ` (${timeOf(drone.reported_at)}).`,
    );
    return drone.reported_at.slice(0, 10);
  } catch (error) {
    $("last").textContent =
      error.status === 404
        ? "No drone of this name has reported."
        : `The last report cannot be shown: ${error.message}.`;
    return new Date().toISOString().slice(0, 10);
  }
}

async function show() {
  $("track-note").textContent = "Loading the day…";
  const wanted = day.value;
  try {
    const answer = await ask("reports", { date: wanted, drone: id, limit: 1440 });
    if (wanted !== day.value) return;
    rows = answer.reports;
    $("track-note").textContent = rows.length
      ? `${whole.format(rows.length)} reports, ${whole.format(rows.filter((row) => row.alert).length)} with an alert`
      : "No reports on this day";
  } catch (error) {
    if (wanted !== day.value) return;
    rows = [];
    $("track-note").textContent = `The day cannot be shown: ${error.message}`;
  }
  track(rows);
  charts();
  table(SHOWN);
}

function charts() {
  const minute = (row) =>
    `${row.reported_at.slice(0, 10)}T${row.reported_at.slice(11, 13)}:${row.reported_at.slice(14, 16)}`;
  const points = (value, says) =>
    rows.map((row) => ({ name: minute(row), y: value(row), title: `${timeOf(row.reported_at)}: ${says(row)}` }));
  line(
    $("battery"),
    points(
      (row) => row.battery,
      (row) => `${fine.format(row.battery)} %`,
    ),
    { says: "Battery by report", most: 100, show: (value) => `${Math.round(value)} %`, kind: "calm" },
  );
  line(
    $("peace"),
    points(
      (row) => row.worst_score,
      (row) => number(row.worst_score),
    ),
    { says: "Lowest peace score by report", most: 10 },
  );
}

function table(most) {
  const shown = rows.slice(-most).reverse();
  $("reports").tBodies[0].replaceChildren(
    ...shown.map((row) =>
      el(
        "tr",
        { class: row.alert ? "alarm" : "" },
        el("td", { class: "nowrap" }, timeOf(row.reported_at)),
        el("td", { class: "clip", title: placeOf(row) }, placeOf(row)),
        el("td", { class: "n" }, `${fine.format(row.battery)} %`),
        el("td", { class: "n" }, number(row.worst_score)),
        el("td", { class: "heard" }, spoken(row.message), row.message_cut ? wholeMessage(row) : ""),
      ),
    ),
  );
  if (!rows.length)
    $("reports").tBodies[0].append(el("tr", {}, el("td", { class: "none", colspan: "5" }, "No reports on this day.")));
  $("reports-more").hidden = rows.length <= shown.length;
}

/* The week up to the chosen day, as far as the batch layer has counted it. */
async function days() {
  const wanted = day.value;
  const from = new Date(Date.parse(`${wanted}T00:00:00Z`) - 6 * DAY_MS).toISOString().slice(0, 10);
  const counted = (await ask(`${path}/days`, { from, to: wanted }).catch(() => ({ days: [] }))).days;
  if (wanted !== day.value) return;
  $("its-days").hidden = !counted.length;
  $("days").tBodies[0].replaceChildren(
    ...counted
      .reverse()
      .map((row) =>
        el(
          "tr",
          {},
          el("td", { class: "nowrap" }, el("a", { href: `?date=${row.date}` }, dayOf(row.date))),
          el("td", { class: "n" }, whole.format(row.reports)),
          el("td", { class: "n" }, whole.format(row.expected - row.minutes)),
          el("td", { class: "n" }, whole.format(row.gaps)),
          el("td", { class: "n" }, whole.format(row.alerts)),
          el("td", { class: "n" }, `${fine.format(row.lowest_battery)} %`),
          el("td", { class: "clip", title: placeOf(row) }, `${placeOf(row)}, ${timeOf(row.last_at)}`),
        ),
      ),
  );
}

async function alerts() {
  const body = $("alerts").tBodies[0];
  try {
    const newest = (await ask("alerts", { drone: id, limit: 10 })).alerts;
    body.replaceChildren(
      ...(newest.length
        ? newest.map((alert) => alertRow(alert, { withDrone: false }))
        : [el("tr", {}, el("td", { class: "none", colspan: "7" }, "No alerts."))]),
    );
  } catch (error) {
    body.replaceChildren(
      el("tr", {}, el("td", { class: "none", colspan: "7" }, `The alerts cannot be shown: ${error.message}.`)),
    );
  }
}

function move(days) {
  day.value = new Date(Date.parse(`${day.value}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
  changed();
}

function changed() {
  if (!day.value) return;
  keep({ date: day.value });
  show();
  days();
}

$("earlier").addEventListener("click", () => move(-1));
$("later").addEventListener("click", () => move(1));
$("reports-more").addEventListener("click", () => table(Infinity));
document.forms.range.addEventListener("submit", (event) => {
  event.preventDefault();
  changed();
});
day.addEventListener("change", changed);
addEventListener("resize", throttled(charts, 200));
setInterval(updateAges, 1000);

await signedIn();
const known = last();
alerts();
day.value = state().date ?? ""; // empty if it is no day
if (!day.value) day.value = await known;
show();
days();
