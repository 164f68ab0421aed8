// @ts-check
/* The duty room: the map, the incidents, the figures and the newest alerts, kept up to date by the event stream. */

import { Alerts } from "./alerts.js";
import { ask } from "./api.js";
import { $, droneLink, number, updateAges, throttled, whole } from "./dom.js";
import { draw, figures } from "./figures.js";
import { Incidents } from "./incidents.js";
import { makeMap } from "./map.js";
import { showDrones } from "./map_drones.js";
import { showHeat } from "./map_heat.js";
import { showIncidents } from "./map_incidents.js";
import { makeSilences } from "./operator.js";
import { allowed } from "./session.js";
import { records } from "./records.js";
import { bind, fill, keep, state } from "./state.js";
import { listen } from "./stream.js";
import { tiles } from "./tiles.js";

const FIGURES_MS = 5000; // about as often as landing commits
const OPEN_FIGURES_MS = 30_000; // where nobody has signed in, so no events come
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const range = document.forms.range;
if (zone && zone !== "UTC") range.elements.tz.append(new Option(zone, zone));
const { tz } = state();
if (tz && ![...range.elements.tz.options].some((option) => option.value === tz))
  range.elements.tz.append(new Option(tz, tz));
fill();
const isFiguresOnly = (await allowed({ figuresSuffice: true })) === "figures";
document.body.classList.toggle("figures-only", isFiguresOnly);
$("figures-only").hidden = !isFiguresOnly;
$("figures-only-sign-in").onclick = () => $("signed-in").click();
if (isFiguresOnly && state().heat === undefined) keep({ heat: "1" }); // else the map would be empty

const map = makeMap("map", { remember: true });
const drones = isFiguresOnly ? null : showDrones(map, describeDrones);
const heat = showHeat(map);
const marks = showIncidents(map, (id) => incidents.open(id));
const incidents = new Incidents({
  changed: (rows) => marks.show(rows, state().incident),
  picked: (row) => row && marks.flyTo(row),
});
const alerts = new Alerts();
const silences = makeSilences();
const failures = new Map();
let recordsOf = ""; // single reports are read again only for another day or country

function describeDrones(drones) {
  $("map-note").textContent = drones
    ? `${whole.format(drones.count)} ${drones.count === 1 ? "drone" : "drones"} here, ${number(drones.low)} with low battery`
    : "Drones cannot be shown now";
}

/* Runs one part of the page. A failure is shown and does not stop the others. */
async function part(name, run) {
  try {
    await run();
    failures.delete(name);
  } catch (error) {
    failures.set(name, error.message);
  }
  const reasons = [...new Set(failures.values())].join("; ");
  $("figures-note").classList.toggle("bad", failures.size > 0);
  if (failures.size)
    $("figures-note").textContent = `${[...failures.keys()].join(" and ")} cannot be shown: ${reasons}`;
}

const loadIncidents = () => isFiguresOnly || part("Incidents", () => incidents.load());
const loadAlerts = () => isFiguresOnly || part("Alerts", () => alerts.load());
const loadTiles = () => part("The day's figures", () => tiles(state().country ?? ""));
const loadHeat = () => part("Alerts by place", () => heat.load());
const loadFigures = () =>
  part("Figures", async () => {
    const day = await figures();
    if (!isFiguresOnly && day !== undefined && `${day} ${state().country}` !== recordsOf) {
      recordsOf = `${day} ${state().country}`;
      await part("Reports", () => records(day));
    }
  });

/* Called once the stream is open, so that no change is missed. What is seen first is loaded first, since a browser has six
   requests at once. The day's figures and the drones get nothing from events: they are loaded before the stream is open. */
let first = Promise.all([loadTiles(), drones?.load()]);
async function loadAll() {
  await Promise.all([loadIncidents(), first ?? Promise.all([loadTiles(), drones?.load()])]);
  first = null;
  await Promise.all([loadFigures(), loadAlerts(), loadHeat(), silences()]);
}

const refreshFigures = throttled(() => document.hidden || (loadTiles(), loadFigures()), FIGURES_MS);

if (isFiguresOnly) {
  Promise.all([first, loadFigures(), loadHeat()]);
  setInterval(refreshFigures, OPEN_FIGURES_MS);
} else
  listen(
    {
      incident: (row) => incidents.put(row),
      alert: (alert) => {
        alerts.put(alert);
        marks.ring(alert);
      },
      figures: refreshFigures,
      drones: drones.refresh,
    },
    { load: loadAll, onState: showLive },
  );

function showLive(how) {
  const place = $("live");
  place.dataset.state = how;
  place.lastElementChild.textContent = how === "live" ? "Live" : "Reconnecting";
}

bind("filters", () => {
  loadIncidents();
  loadAlerts();
});
bind("range", () => {
  draw();
  drones?.load();
  loadFigures();
  loadTiles();
  loadHeat();
  loadIncidents();
  loadAlerts();
});
addEventListener("heat", loadHeat);

document.forms.find.addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = event.target.elements.drone.value.trim();
  if (wanted) location.assign(droneLink(wanted));
});
document.forms.find.addEventListener(
  "input",
  throttled(async () => {
    const q = $("drone").value.trim();
    if (!q) return;
    const matching = await ask("drones", { q, limit: 12 }).catch(() => ({ drones: [] }));
    $("drones").replaceChildren(...matching.drones.map((drone) => new Option("", drone.drone_id)));
  }, 200),
);

range.elements.country.addEventListener(
  "focus",
  async () => {
    const known = await ask("statistics/alerts-by-country", { limit: 300 }).catch(() => ({ countries: [] }));
    $("countries").replaceChildren(...known.countries.map((row) => new Option("", row.country)));
  },
  { once: true },
);

let width = innerWidth;
addEventListener(
  "resize",
  throttled(() => {
    if (innerWidth !== width) {
      width = innerWidth;
      draw();
    }
  }, 200),
);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    refreshFigures();
    drones?.refresh();
  }
});
setInterval(updateAges, 1000);
