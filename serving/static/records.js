// @ts-check
/* The records of the country that the filters name: its single reports of a day, the latest ones, from the lake. */

import { address, ask } from "./api.js";
import { $, dayOf, droneLink, el, number, spoken, timeOf, whole } from "./dom.js";
import { state } from "./state.js";

const SHOWN = 30;
let loads = 0;

/* `day` is the last of the range that the figures show. */
export async function records(day) {
  const load = ++loads;
  const { country } = state();
  $("country-records").hidden = !country || !day;
  if (!country || !day) return;
  const query = { date: day.slice(0, 10), country };
  $("reports-title").textContent = `Reports of ${country}`;
  $("reports-csv").href = address("reports", { ...query, limit: 5000, format: "csv" });
  const answer = await ask("reports", { ...query, limit: SHOWN });
  if (load !== loads) return;
  $("reports-note").textContent = `${dayOf(day)}, the latest ${whole.format(answer.reports.length)}`;
  const rows = answer.reports.reverse().map(row);
  $("reports").tBodies[0].replaceChildren(
    ...(rows.length ? rows : [el("tr", {}, el("td", { class: "none", colspan: "7" }, "No reports on this day."))]),
  );
}

/* A link to the whole of a message that is cut. */
export function wholeMessage(report) {
  const query = { date: report.reported_at.slice(0, 10), drone: report.drone_id, report: report.report_id };
  return el(
    "a",
    { class: "cut", href: address("reports", query) },
    ` … ${whole.format(report.message_cut)} more characters`,
  );
}

function row(report) {
  return el(
    "tr",
    { class: report.alert ? "alarm" : "" },
    el("td", { class: "nowrap" }, timeOf(report.reported_at)),
    el("td", { class: "nowrap" }, el("a", { href: droneLink(report.drone_id) }, report.drone_id)),
    el("td", { class: "clip", title: report.city }, report.city),
    el("td", { class: "n" }, number(report.worst_score)),
    el("td", { class: "n" }, `${Math.floor(report.battery)} %`),
    el("td", {}, report.alert ? "yes" : ""),
    el("td", { class: "heard" }, spoken(report.message), report.message_cut ? wholeMessage(report) : ""),
  );
}
