// @ts-check
/* The newest alerts as a table: the records of the country that the filters name. */

import { address, ask } from "./api.js";
import { $, capital, droneLink, el, number, placeOf, since, spoken, words } from "./dom.js";
import { state } from "./state.js";

const PAGE = 25;

export class Alerts {
  #body = $("alerts").tBodies[0];
  #known = new Set();
  #next = null;
  #loads = 0;
  #came = null; // alerts from the stream that an answer under way may lack

  constructor() {
    $("alerts-more").addEventListener("click", () => this.#page({ cursor: this.#next }));
  }

  async load() {
    const load = ++this.#loads;
    const came = (this.#came = []);
    try {
      const page = await ask("alerts", this.#query());
      if (load !== this.#loads) return;
      this.#known.clear();
      this.#body.replaceChildren();
      this.#take(page);
    } finally {
      if (load === this.#loads) this.#came = null;
    }
    came.forEach((alert) => this.put(alert));
  }

  /* An alert from the event stream. */
  put(alert) {
    this.#came?.push(alert);
    const wanted = this.#query();
    if (
      this.#known.has(alert.alert_id) ||
      ["kind", "severity", "country"].some((name) => wanted[name] && wanted[name] !== alert[name])
    )
      return;
    if (wanted.until && alert.raised_at >= wanted.until) return;
    this.#known.add(alert.alert_id);
    this.#body.querySelector(".none")?.parentElement.remove();
    this.#body.prepend(row(alert));
    while (this.#body.rows.length > 400) this.#body.lastElementChild.remove();
  }

  #query() {
    const { kind, severity, country, from, to } = state();
    return {
      kind,
      severity,
      country,
      since: from && `${from.slice(0, 10)}T00:00:00Z`,
      until: to && nextDay(to.slice(0, 10)),
      limit: PAGE,
    };
  }

  async #page(more) {
    this.#take(await ask("alerts", { ...this.#query(), ...more }));
  }

  #take(page) {
    for (const alert of page.alerts) {
      if (this.#known.has(alert.alert_id)) continue;
      this.#known.add(alert.alert_id);
      this.#body.append(row(alert));
    }
    this.#next = page.next;
    $("alerts-more").hidden = !page.next;
    if (!this.#body.rows.length)
      this.#body.append(el("tr", {}, el("td", { class: "none", colspan: "8" }, "No alerts match the filters.")));
    const { country } = state();
    $("alerts-csv").href = address("alerts", { ...this.#query(), limit: 500, format: "csv" });
    $("records-title").textContent = country ? `Alerts of ${country}` : "Newest alerts";
  }
}

function nextDay(day) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString();
}

/* The row of an alert, here and on the drone's page. */
export function row(alert, { withDrone = true } = {}) {
  const delivered = alert.delivered_at
    ? alert.latency_ms === null
      ? "yes"
      : `${(alert.latency_ms / 1000).toFixed(1)} s`
    : "not yet";
  return el(
    "tr",
    { class: ["critical", "high", "moderate"].includes(alert.severity) ? alert.severity : "" },
    el("td", { class: "nowrap" }, since(alert.raised_at)),
    el("td", { class: "sev nowrap" }, `${capital(String(alert.severity))} ${words(alert.kind)}`),
    el(
      "td",
      { class: "clip", title: placeOf(alert) },
      alert.incident_id
        ? el("a", { href: `/?state=all&incident=${encodeURIComponent(alert.incident_id)}` }, placeOf(alert))
        : placeOf(alert),
    ),
    withDrone ? el("td", { class: "nowrap" }, el("a", { href: droneLink(alert.drone_id) }, alert.drone_id)) : null,
    el("td", { class: "n" }, number(alert.worst_score)),
    el("td", { class: "n" }, alert.battery === null ? "–" : `${Math.floor(alert.battery)} %`),
    el("td", { class: "heard" }, spoken(alert.message || alert.note)),
    el("td", { class: "nowrap" }, delivered),
  );
}
