// @ts-check
/* A drone's day on the map: its line, its reports with an alert, and where it was last. */

import { colour, onTheme } from "./colours.js";
import { timeOf } from "./dom.js";

/* Reports with a position, each [latitude, longitude] the shorter way from the one before: a line over the antimeridian goes
   on past the map's edge, not back over all of it. 0, 0 is what a receiver without a fix sends. */
export function placed(rows) {
  let before = null;
  return rows
    .filter((row) => row.latitude || row.longitude)
    .map((row) => {
      const turns = before === null ? 0 : Math.round((before - row.longitude) / 360);
      before = row.longitude + 360 * turns;
      return { ...row, at: [row.latitude, before] };
    });
}

/* Returns a function that draws the reports of a day, given in order of time. */
export function showTrack(map) {
  const { L } = window;
  map.createPane("track").style.zIndex = 420;
  const renderer = L.canvas({ pane: "track", padding: 0.3, tolerance: 4 });
  const layer = L.layerGroup().addTo(map);
  let shown = [];

  function draw() {
    layer.clearLayers();
    if (!shown.length) return;
    const common = { renderer, pane: "track" };
    const [calm, alert, ink] = ["--calm", "--alert", "--ink"].map(colour);
    const line = shown.map((row) => row.at);
    L.polyline(line, { ...common, color: calm, weight: 1.8, opacity: 0.85, interactive: false }).addTo(layer);
    for (const row of shown.filter((each) => each.alert))
      dot(row, { ...common, radius: 5, weight: 0, fillColor: alert, fillOpacity: 0.95 });
    dot(shown.at(-1), { ...common, radius: 6, weight: 2, color: ink, fillColor: calm, fillOpacity: 1 });
  }

  function dot(row, style) {
    const says = document.createElement("span");
    says.textContent = `${timeOf(row.reported_at)} · ${Math.floor(row.battery)} %${row.message ? ` · “${row.message}”` : ""}`;
    L.circleMarker(row.at, style).bindTooltip(says, { direction: "top", opacity: 1 }).addTo(layer);
  }

  onTheme(draw);
  return (rows) => {
    shown = placed(rows);
    draw();
    if (shown.length)
      map.fitBounds(L.latLngBounds(shown.map((row) => row.at)), {
        padding: [40, 40],
        maxZoom: 11,
        animate: false,
      });
  };
}
