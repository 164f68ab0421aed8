// @ts-check
/* Outlines of countries and a grid of degrees, drawn once on a canvas below everything. */

import { colour, onTheme } from "./colours.js";

const L = window.L;

export async function outlines(map) {
  map.createPane("world").style.zIndex = 150;
  const renderer = L.canvas({ pane: "world", padding: 0.6 });
  const style = () => ({
    renderer,
    pane: "world",
    interactive: false,
    weight: 0.8,
    color: colour("--coast"),
    fillColor: colour("--land"),
    fillOpacity: 1,
  });
  const gridStyle = () => ({ renderer, pane: "world", interactive: false, weight: 1, color: colour("--grid") });
  const grid = L.layerGroup(degrees().map((line) => L.polyline(line, gridStyle()))).addTo(map);
  const answer = await fetch("/static/world/countries.json", { credentials: "same-origin" });
  const countries = (await answer.json()).features.filter((country) => country.properties.name !== "Antarctica"); // no drone flies there
  const world = L.geoJSON(countries, { style, interactive: false }).addTo(map);
  onTheme(() => {
    world.setStyle(style());
    grid.eachLayer((line) => line.setStyle(gridStyle()));
  });
}

function degrees() {
  const lines = [];
  for (let west = -180; west <= 180; west += 30)
    lines.push([
      [-85, west],
      [85, west],
    ]);
  for (let south = -60; south <= 80; south += 20)
    lines.push([
      [south, -180],
      [south, 180],
    ]);
  return lines;
}
