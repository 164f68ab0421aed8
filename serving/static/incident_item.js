// @ts-check
/* An incident in the list: a line that opens to its details and an operator's actions. */

import { ask } from "./api.js";
import {
  capital,
  droneLink,
  el,
  fine,
  number,
  placeOf,
  since,
  spoken,
  throttled,
  timeOf,
  whole,
  words,
} from "./dom.js";
import { actions } from "./operator.js";

const LONG_PLACE = 30; // characters; a longer name is clipped in the line, and complete in the details
const MORE_MS = 3000; // in a storm an incident changes with every edit

export class Item {
  #row = null;
  #body = null;
  #facts = null;

  constructor(id, opened) {
    this.id = id;
    this.opened = opened;
    const about = `incident-${id}`;
    this.parts = Object.fromEntries(
      ["place", "count", "meta", "heard"].map((name) => [name, el("span", { class: name })]),
    );
    this.head = el(
      "button",
      {
        type: "button",
        class: "head",
        "aria-expanded": "false",
        "aria-controls": about,
        onclick: () => (this.isOpen ? this.close() : this.open()),
      },
      el("i", { "aria-hidden": "true" }),
      ...Object.values(this.parts),
    );
    this.about = about;
    this.recent = el("ol", { class: "recent" });
    this.calls = el("details", { class: "deliveries", hidden: true });
    this.reload = throttled(() => this.#load(), MORE_MS);
    this.node = el("li", {}, this.head);
  }

  get isOpen() {
    return this.#body !== null;
  }

  show(row) {
    if (
      this.#row &&
      this.#row.updated_at === row.updated_at &&
      this.#row.alerts === row.alerts &&
      this.#row.state === row.state
    )
      return;
    this.#row = row;
    this.node.className = ["incident", row.severity, row.state, row.acknowledged_by ? "taken" : ""]
      .filter((name) => /^[a-z]+$/.test(name))
      .join(" ");
    const { place, count, meta, heard } = this.parts;
    place.textContent = placeOf(row);
    place.title = placeOf(row);
    count.replaceChildren(whole.format(row.alerts), el("small", {}, row.alerts === 1 ? " alert" : " alerts"));
    meta.replaceChildren(
      el("b", { class: "sev" }, `${capital(String(row.severity))} ${words(row.kind)}`),
      ` · ${row.state} · `,
      since(row.last),
    );
    if (row.acknowledged_by)
      meta.append(` · ${row.state === "resolved" ? "resolved" : "acknowledged"} by ${row.acknowledged_by}`);
    heard.textContent = row.heard ? `“${row.heard}”` : row.note;
    heard.hidden = !heard.textContent;
    if (!this.isOpen) return;
    this.#facts.replaceChildren(...facts(row));
    this.reload();
  }

  open() {
    if (this.isOpen) return;
    this.#facts = el("dl", {}, ...facts(this.#row));
    this.#body = el("div", { class: "body", id: this.about }, this.#facts, actions(this.#row), this.calls, this.recent);
    this.node.append(this.#body);
    this.head.setAttribute("aria-expanded", "true");
    this.opened(true);
    this.reload();
  }

  close() {
    if (!this.isOpen) return;
    this.#body.remove();
    this.#body = null;
    this.head.setAttribute("aria-expanded", "false");
    this.opened(false);
  }

  /* Its newest alerts, and its deliveries to Discord. */
  async #load() {
    if (!this.isOpen) return;
    try {
      const incident = await ask(`incidents/${encodeURIComponent(this.id)}`);
      this.recent.replaceChildren(...incident.recent_alerts.slice(0, 8).map(line));
      this.calls.hidden = incident.deliveries.length === 0;
      this.calls.replaceChildren(
        el("summary", {}, deliveredIn(incident.deliveries)),
        el("ol", {}, ...incident.deliveries.slice(0, 30).map(call)),
      );
    } catch (error) {
      this.recent.replaceChildren(el("li", { class: "quiet" }, `Its alerts cannot be shown: ${error.message}`));
    }
  }
}

function deliveredIn(calls) {
  const count = (method) => calls.filter((delivery) => delivery.method === method).length;
  const edits = count("edit") ? `, ${whole.format(count("edit"))} edited` : "";
  return `Sent to Discord in ${whole.format(calls.length)} ${calls.length === 1 ? "request" : "requests"}: ${whole.format(count("post"))} posted${edits}`;
}

function call(delivery) {
  const how = delivery.digest ? "counted in a digest" : delivery.method === "post" ? "posted" : "edited";
  return el(
    "li",
    {},
    `${timeOf(delivery.delivered_at)} · ${how} · ${whole.format(delivery.alerts)} ${delivery.alerts === 1 ? "alert" : "alerts"}, ${delivery.state}`,
  );
}

function line(alert) {
  const heard = alert.message ? el("span", { class: "what" }, spoken(`“${alert.message}”`)) : null;
  return el(
    "li",
    {},
    since(alert.raised_at),
    " ",
    el("a", { href: droneLink(alert.drone_id) }, alert.drone_id),
    alert.worst_score === null ? "" : ` · peace ${alert.worst_score}`,
    alert.delivered_at ? "" : " · not yet delivered",
    heard,
  );
}

function facts(row) {
  const seen = row.who.map((citizen) => `${citizen.name} (${citizen.peace_score})`).join(", ");
  const drones = row.drones.flatMap((id, index) => [index ? ", " : "", el("a", { href: droneLink(id) }, id)]);
  const rows = [
    ["Place", placeOf(row).length > LONG_PLACE ? placeOf(row) : ""],
    ["First alert", timeOf(row.since)],
    ["Latest", timeOf(row.last)],
    ["Lowest peace score", number(row.worst_score)],
    ["Battery", row.battery === null || row.battery === undefined ? "" : `${fine.format(row.battery)} %`],
    ["Seen", seen],
    ["Drones", drones],
    ["Heard", row.heard && spoken(row.heard)],
    ["Note", row.note],
    [
      row.state === "resolved" && row.resolved_by
        ? `Resolved by ${row.resolved_by}`
        : `Acknowledged by ${row.acknowledged_by}`,
      row.acknowledged_by ? row.acknowledgement || "without a note" : "",
    ],
    ["Caution", row.verified ? "" : "taken from a message that is not a whole report"],
    ["Reported by", row.newcomers_only ? "drones that are new to the fleet only" : ""],
  ];
  return rows
    .filter(([, value]) => value && (value instanceof Node || value.length))
    .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, ...[value].flat())]);
}
