// @ts-check
/* The list of incidents, kept up to date: rows are kept by id, and a newer form of an incident replaces its row. */

import { ask } from "./api.js";
import { $, capital, placeOf, whole, words } from "./dom.js";
import { Item } from "./incident_item.js";
import { keep, state } from "./state.js";

const PAGE = 200;
const STEP = 150; // rows drawn at first, and added by each "Show more"
const RANK = { critical: 3, high: 2, moderate: 1 };
const SLIDE = { duration: 260, easing: "cubic-bezier(.2,.7,.2,1)" };

export class Incidents {
  #rows = new Map();
  #items = new Map();
  #touched = null; // ids of events during a load: they are newer than its answer
  #next = null;
  #most = STEP;
  #waiting = false;
  #loads = 0;

  /* Calls `changed(rows)` after each drawing, and `picked(row)` when somebody opens a row. */
  constructor({ changed, picked }) {
    this.list = $("incidents");
    this.changed = changed;
    this.picked = picked;
    $("incidents-more").addEventListener("click", () => this.more());
  }

  /* Loads all; events that arrive meanwhile are newer than the answer. */
  async load() {
    const load = ++this.#loads;
    this.#touched = new Set();
    try {
      const page = await ask("incidents", this.#query());
      if (load !== this.#loads) return;
      for (const id of this.#rows.keys()) if (!this.#touched.has(id)) this.#rows.delete(id);
      this.#take(page);
      while (this.#next && this.#rows.size < this.#most && (await this.#following(load))); // as many rows as before
      if (load !== this.#loads) return;
    } finally {
      if (load === this.#loads) this.#touched = null;
    }
    const wanted = state().incident;
    if (wanted && !this.#rows.has(wanted)) await this.#fetchOne(wanted);
  }

  /* Shows STEP more rows; loads them where too few are known. */
  async more() {
    this.#most += STEP;
    if (this.#next && !this.#touched && this.#wanted().length < this.#most) {
      // else the load under way continues with it
      const load = this.#loads;
      this.#touched = new Set();
      try {
        await this.#following(load);
      } finally {
        if (load === this.#loads) this.#touched = null;
      }
    }
    this.draw();
  }

  /* Adds the next page, unless a new load began meanwhile. Returns whether it was added. */
  async #following(load) {
    const page = await ask("incidents", { ...this.#query(), cursor: this.#next });
    if (load === this.#loads) this.#take(page);
    return load === this.#loads;
  }

  /* The newest form of an incident, from the event stream. */
  put(row) {
    this.#touched?.add(row.incident_id);
    if (!this.#rows.has(row.incident_id)) this.#announce(row);
    this.#rows.set(row.incident_id, row);
    this.draw();
  }

  open(id) {
    this.#items.get(id)?.open();
  }

  /* Draws soon, once for many changes. */
  draw() {
    if (this.#waiting) return;
    this.#waiting = true;
    const run = () => {
      this.#waiting = false;
      this.#draw();
    };
    if (document.hidden) setTimeout(run, 500);
    else requestAnimationFrame(run);
  }

  #query() {
    const { kind, severity, state: wanted, country } = state();
    const known = ["open", "growing", "quiet", "resolved"].includes(wanted) ? wanted : "";
    return { kind, severity, state: known, country, limit: PAGE };
  }

  #take(page) {
    for (const row of page.incidents) if (!this.#touched.has(row.incident_id)) this.#rows.set(row.incident_id, row);
    this.#next = page.next;
    this.draw();
  }

  async #fetchOne(id) {
    try {
      this.put(await ask(`incidents/${encodeURIComponent(id)}`));
      this.draw();
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  }

  #isWanted(row) {
    const wanted = state();
    if (row.incident_id === wanted.incident) return true;
    if (!wanted.state && row.state === "resolved") return false;
    if (wanted.state && wanted.state !== "all" && row.state !== wanted.state) return false;
    return ["kind", "severity", "country"].every((name) => !wanted[name] || row[name] === wanted[name]);
  }

  #wanted() {
    return [...this.#rows.values()].filter((row) => this.#isWanted(row));
  }

  #draw() {
    const worst = state().order !== "latest";
    const order = (a, b) =>
      (worst ? weight(b) - weight(a) : 0) ||
      Date.parse(b.last) - Date.parse(a.last) ||
      (a.incident_id < b.incident_id ? -1 : 1);
    const rows = this.#wanted().sort(order);
    const shown = rows.slice(0, this.#most);
    const places = this.#places();
    this.#forget(new Set(shown.map((row) => row.incident_id)));
    this.#arrange(shown.map((row) => this.#item(row).node));
    this.#slide(places);
    $("incidents-count").textContent = whole.format(rows.length) + (this.#next ? "+" : "");
    $("incidents-none").hidden = rows.length > 0;
    $("incidents-none").textContent = this.#rows.size ? "No incidents match the filters." : "No incidents.";
    const isAll = shown.length === rows.length && !this.#next;
    $("incidents-more").hidden = $("incidents-rest").hidden = isAll;
    $("incidents-rest").textContent = isAll
      ? ""
      : `The ${worst ? "worst" : "latest"} ${whole.format(shown.length)} of ${whole.format(rows.length)}${this.#next ? " and older ones" : ""}`;
    this.changed(shown);
  }

  #item(row) {
    let item = this.#items.get(row.incident_id);
    if (!item) {
      item = new Item(row.incident_id, (isOpen) => this.#opened(row.incident_id, isOpen));
      this.#items.set(row.incident_id, item);
      if (state().incident === row.incident_id) queueMicrotask(() => item.open());
    }
    item.show(row);
    return item;
  }

  #opened(id, isOpen) {
    for (const [other, item] of this.#items) if (isOpen && other !== id) item.close();
    if (isOpen || state().incident === id) keep({ incident: isOpen ? id : "" });
    if (isOpen) this.picked(this.#rows.get(id));
    this.draw();
  }

  #forget(wanted) {
    for (const [id, item] of this.#items)
      if (!wanted.has(id)) {
        item.node.remove();
        this.#items.delete(id);
      }
  }

  /* Moves the other rows around the one with the focus: a node that is moved loses it. */
  #arrange(nodes) {
    const held = document.activeElement?.closest?.("#incidents > li");
    const pinned = nodes.includes(held) ? held : null;
    if (pinned) {
      const at = nodes.indexOf(pinned);
      nodes.slice(0, at).forEach((node, index) => {
        if (this.list.children[index] !== node)
          this.list.insertBefore(node, this.list.children[index] === pinned ? pinned : this.list.children[index]);
      });
      nodes.slice(at + 1).forEach((node) => this.list.append(node));
      return;
    }
    nodes.forEach((node, index) => {
      if (this.list.children[index] !== node) this.list.insertBefore(node, this.list.children[index] ?? null);
    });
  }

  #places() {
    return new Map([...this.list.children].map((node) => [node, node.offsetTop]));
  }

  #slide(places) {
    if (document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const node of this.list.children) {
      const before = places.get(node);
      if (before === undefined && places.size) node.animate({ opacity: [0, 1] }, SLIDE);
      else if (before !== undefined && before !== node.offsetTop)
        node.animate({ transform: [`translateY(${before - node.offsetTop}px)`, "none"] }, SLIDE);
    }
  }

  #announce(row) {
    if (this.#touched || row.severity === "moderate" || !this.#isWanted(row)) return;
    $("announce").textContent = `New incident: ${capital(String(row.severity))} ${words(row.kind)}, ${placeOf(row)}`;
  }
}

/* Worst first, unacknowledged before acknowledged; resolved ones come last. */
function weight(row) {
  const over = row.state === "resolved" ? -100 : row.state === "quiet" ? -10 : 0;
  return over + 2 * (RANK[row.severity] ?? 0) - (row.acknowledged_by ? 1 : 0);
}
