/* A drone's day on the map: its line, its reports with an alert, and where it was last. */

import { colour, onTheme } from "./colours.js";
import { timeOf } from "./dom.js";

const L = window.L;

/* A function that draws the reports of a day, which come in order of time. */
export function showTrack(map) {
  map.createPane("track").style.zIndex = 420;
  const renderer = L.canvas({ pane: "track", padding: 0.3, tolerance: 4 });
  const layer = L.layerGroup().addTo(map);
  let shown = [];

  function draw() {
    layer.clearLayers();
    if (!shown.length) return;
    const common = { renderer, pane: "track" };
    const at = (row) => [row.latitude, row.longitude];
    const [calm, alert, ink] = ["--calm", "--alert", "--ink"].map(colour);
    L.polyline(shown.map(at), { ...common, color: calm, weight: 1.8, opacity: 0.85, interactive: false }).addTo(layer);
    for (const row of shown.filter((each) => each.alert))
      dot(row, { ...common, radius: 5, weight: 0, fillColor: alert, fillOpacity: 0.95 });
    dot(shown.at(-1), { ...common, radius: 6, weight: 2, color: ink, fillColor: calm, fillOpacity: 1 });
  }

  function dot(row, style) {
    const says = document.createElement("span");
    says.textContent = `${timeOf(row.reported_at)} · ${Math.round(row.battery)} %${row.message ? ` · “${row.message}”` : ""}`;
    L.circleMarker([row.latitude, row.longitude], style)
      .bindTooltip(says, { direction: "top", opacity: 1 })
      .addTo(layer);
  }

  onTheme(draw);
  return (rows) => {
    shown = rows;
    draw();
    if (rows.length)
      map.fitBounds(L.latLngBounds(rows.map((row) => [row.latitude, row.longitude])), {
        padding: [40, 40],
        maxZoom: 11,
        animate: false,
      });
  };
}
