/* One incident in the list: a line that opens to all that is known and to what an operator can do. */

import { ask } from "./api.js";
import { capital, droneLink, el, number, placeOf, since, timeOf, whole, words } from "./dom.js";
import { deeds } from "./operator.js";

export class Item {
  #row = null;
  #body = null;
  #facts = null;

  constructor(id, opened) {
    this.id = id;
    this.opened = opened;
    const about = `incident-${id}`;
    this.parts = Object.fromEntries(["place", "count", "meta", "heard"].map((name) => [name, el("span", { class: name })]));
    this.head = el("button", { type: "button", class: "head", "aria-expanded": "false", "aria-controls": about, onclick: () => (this.isOpen ? this.close() : this.open()) },
      el("i", { "aria-hidden": "true" }), ...Object.values(this.parts));
    this.about = about;
    this.node = el("li", {}, this.head);
  }

  get isOpen() {
    return this.#body !== null;
  }

  show(row) {
    if (this.#row && this.#row.updated_at === row.updated_at && this.#row.alerts === row.alerts && this.#row.state === row.state) return;
    this.#row = row;
    this.node.className = ["incident", row.severity, row.state, row.acknowledged_by ? "taken" : ""].filter((name) => /^[a-z]+$/.test(name)).join(" ");
    const { place, count, meta, heard } = this.parts;
    place.textContent = placeOf(row);
    count.replaceChildren(whole.format(row.alerts), el("small", {}, row.alerts === 1 ? " alert" : " alerts"));
    meta.replaceChildren(el("b", { class: "sev" }, `${capital(String(row.severity))} ${words(row.kind)}`), ` · ${row.state} · `, since(row.last));
    if (row.acknowledged_by) meta.append(` · ${row.state === "resolved" ? "resolved" : "taken up"} by ${row.acknowledged_by}`);
    heard.textContent = row.heard ? `“${row.heard}”` : row.note;
    heard.hidden = !heard.textContent;
    if (this.isOpen) this.#facts.replaceChildren(...facts(row));
  }

  open() {
    if (this.isOpen) return;
    this.#facts = el("dl", {}, ...facts(this.#row));
    const recent = el("ol", { class: "recent" });
    this.#body = el("div", { class: "body", id: this.about }, this.#facts, deeds(this.#row), recent);
    this.node.append(this.#body);
    this.head.setAttribute("aria-expanded", "true");
    this.opened(true);
    this.#loadRecent(recent);
  }

  close() {
    if (!this.isOpen) return;
    this.#body.remove();
    this.#body = null;
    this.head.setAttribute("aria-expanded", "false");
    this.opened(false);
  }

  async #loadRecent(list) {
    try {
      const found = await ask(`incidents/${encodeURIComponent(this.id)}`);
      list.replaceChildren(...found.recent_alerts.slice(0, 8).map(line));
    } catch (error) {
      list.replaceChildren(el("li", { class: "quiet" }, `Its alerts cannot be shown: ${error.message}`));
    }
  }
}

function line(alert) {
  const heard = alert.message ? el("span", { class: "what" }, `“${alert.message}”`) : null;
  return el("li", {}, since(alert.raised_at), " ", el("a", { href: droneLink(alert.drone_id) }, alert.drone_id),
    alert.worst_score === null ? "" : ` · peace ${alert.worst_score}`, alert.delivered_at ? "" : " · not yet told", heard);
}

function facts(row) {
  const seen = row.who.map((citizen) => `${citizen.name} (${citizen.peace_score})`).join(", ");
  const drones = row.drones.flatMap((id, index) => [index ? ", " : "", el("a", { href: droneLink(id) }, id)]);
  const found = [
    ["First alert", timeOf(row.since)],
    ["Latest", timeOf(row.last)],
    ["Lowest peace score", number(row.worst_score)],
    ["Seen", seen],
    ["Drones", drones],
    ["Heard", row.heard],
    ["Note", row.note],
    [row.state === "resolved" && row.resolved_by ? `Resolved by ${row.resolved_by}` : `Taken up by ${row.acknowledged_by}`, row.acknowledged_by ? row.acknowledgement || "without a note" : ""],
    ["Caution", row.verified ? "" : "read out of a message that is no whole report"],
  ];
  return found.filter(([, value]) => value && value.length).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, ...[value].flat())]);
}
