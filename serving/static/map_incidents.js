// @ts-check
/* Incidents on the map: a dot by severity, larger with more alerts, with a pulse while it grows. An alert is a ring that fades. */

import { capital, el, placeOf, whole, words } from "./dom.js";

const L = window.L;
const NEAR = 4.5; // the zoom from which there is room for every place's name
const RANK = { critical: 3, high: 2, moderate: 1 };

const ABOVE = 10_000; // the open incident is above others of its place

/* {show(rows, chosen id), ring(alert), flyTo(row)}; `chosen(id)` when a dot is clicked. */
export function showIncidents(map, chosen) {
  const marks = new Map();
  const near = () => {
    map.getContainer().classList.toggle("near", map.getZoom() >= NEAR);
    name();
  };
  map.on("zoomend", near);
  map.on("resize", name);
  near();

  function show(rows, open) {
    const wanted = new Map(rows.filter(isPlaced).map((row) => [row.incident_id, row]));
    for (const [id, mark] of marks)
      if (!wanted.has(id)) {
        mark.remove();
        marks.delete(id);
      }
    for (const [id, row] of wanted) {
      const mark = marks.get(id) ?? add(id, row);
      mark.setLatLng([row.latitude, row.longitude]);
      mark.setZIndexOffset(id === open ? ABOVE : (RANK[row.severity] ?? 0) * 1000);
      dress(mark.getElement(), row);
      mark.getElement().classList.toggle("chosen", id === open);
      mark.setTooltipContent(Object.assign(document.createElement("span"), { textContent: says(row) }));
      mark.row = row;
    }
    name();
  }

  /* Shows the names that cover no dot and no other name: of the worst incidents first, then of those with most alerts. */
  function name() {
    const rank = ({ row }) => RANK[row.severity] ?? 0;
    const ordered = [...marks.values()].sort((a, b) => rank(b) - rank(a) || b.row.alerts - a.row.alerts);
    const part = (mark, tag) => mark.getElement().querySelector(tag);
    const taken = ordered.map((mark) => part(mark, "i").getBoundingClientRect());
    const labels = ordered.map((mark) => part(mark, "b"));
    const boxes = labels.map((label) => label.getBoundingClientRect()); // a hidden one has its size, too
    for (const [at, label] of labels.entries()) {
      const box = boxes[at];
      label.classList.remove("covered");
      if (!box.width) continue;
      if (taken.some((other) => meet(box, other))) label.classList.add("covered");
      else taken.push(box);
    }
  }

  function add(id, row) {
    const icon = L.divIcon({ className: "incident-mark", html: el("span", {}, el("i"), el("b")), iconSize: [28, 28] });
    const mark = L.marker([row.latitude, row.longitude], { icon, keyboard: true, riseOnHover: true }).addTo(map);
    mark.bindTooltip("", { direction: "top", offset: [0, -8], opacity: 1 });
    mark.on("click", () => chosen(id));
    marks.set(id, mark);
    return mark;
  }

  function ring(alert) {
    if (!isPlaced(alert) || document.hidden) return;
    const icon = L.divIcon({
      className: `alert-ring ${RANK[alert.severity] ? alert.severity : ""}`,
      html: document.createElement("i"),
      iconSize: [10, 10],
    });
    const mark = L.marker([alert.latitude, alert.longitude], { icon, interactive: false, keyboard: false }).addTo(map);
    setTimeout(() => mark.remove(), 2400);
  }

  function flyTo(row) {
    if (!isPlaced(row) || map.getBounds().pad(-0.15).contains([row.latitude, row.longitude])) return;
    map.panTo([row.latitude, row.longitude]);
  }

  return { show, ring, flyTo };
}

const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const isPlaced = (row) => typeof row.latitude === "number" && typeof row.longitude === "number";

function dress(element, row) {
  element.className = element.className.replace(
    / (critical|high|moderate|growing|open|quiet|resolved|small|medium|large|taken)\b/g,
    "",
  );
  const size = row.alerts >= 50 ? "large" : row.alerts >= 8 ? "medium" : "small";
  element.classList.add(
    ...[row.severity, row.state, row.acknowledged_by ? "taken" : "", size].filter((name) => /^[a-z]+$/.test(name)),
  );
  element.setAttribute("aria-label", says(row));
  element.querySelector("b").textContent = (row.city === "unknown" ? row.country : row.city).slice(0, 24); // shown where it is critical
}

function says(row) {
  return `${capital(String(row.severity))} ${words(row.kind)}, ${placeOf(row)}: ${whole.format(row.alerts)} ${row.alerts === 1 ? "alert" : "alerts"}, ${row.state}`;
}
