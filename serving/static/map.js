// @ts-check
/* The map: outlines of countries, no tiles. map_drones.js and map_incidents.js draw on it. */

import { outlines } from "./map_world.js";
import { keep, state } from "./state.js";

const L = window.L;
const PLACE = /^(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$/;

/* A Leaflet map in the element `id`; with `remember` the address keeps its view. */
export function makeMap(id, { remember = false } = {}) {
  const map = L.map(id, {
    zoomSnap: 0.05,
    zoomDelta: 1,
    minZoom: 1,
    maxZoom: 14,
    zoomControl: false,
    attributionControl: false,
    keyboard: true,
    maxBounds: [
      [-85, -210],
      [85, 210],
    ],
    maxBoundsViscosity: 0.8,
    worldCopyJump: false,
    preferCanvas: true,
    fadeAnimation: false,
    zoomAnimation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
  });
  L.control.zoom({ position: "topright", zoomInTitle: "Zoom in", zoomOutTitle: "Zoom out" }).addTo(map);
  const kept = remember ? PLACE.exec(state().map ?? "") : null;
  if (kept) map.setView([Number(kept[1]), Number(kept[2])], Number(kept[3]));
  else showWorld(map);
  outlines(map);
  if (remember) {
    map.on("moveend", () => {
      const { lat, lng } = map.getCenter();
      keep({ map: `${lat.toFixed(2)},${lng.toFixed(2)},${map.getZoom()}` });
    });
  }
  new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(map.getContainer());
  return map;
}

export function showWorld(map) {
  const { x, y } = map.getSize();
  // At zoom 0 the world is 256 px wide, and 135 px high from Cape Horn to the north of Norway.
  const zoom = Math.max(1, Math.min(Math.log2(x / 256), Math.log2(y / 135)));
  map.setView([y > x * 0.62 ? 32 : 22, 8], Math.ceil(zoom * 20) / 20);
}
