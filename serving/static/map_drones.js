// @ts-check
/* Drones on the map. The server groups them for the view: 100,000 drones are a few hundred circles. */

import { ask } from "./api.js";
import { colour, onTheme } from "./colours.js";
import { droneLink, fine, throttled, whole } from "./dom.js";
import { state } from "./state.js";

const L = window.L;

/* {refresh}: loads the drones of the view again, at most every three seconds; `onCount` gets {count, low} of each load. */
export function showDrones(map, onCount) {
  map.createPane("drones").style.zIndex = 420;
  const renderer = L.canvas({ pane: "drones", padding: 0.3, tolerance: 4 });
  const layer = L.layerGroup().addTo(map);
  let asked = null;
  let shown = [];

  async function load() {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await ask(
        "drones/map",
        { bbox: box(map), zoom: Math.round(map.getZoom()), country: state().country },
        { signal: asked.signal },
      );
      draw(answer.features);
    } catch (error) {
      if (error.name !== "AbortError") onCount(null);
    }
  }

  function draw(features) {
    shown = features;
    layer.clearLayers();
    const [calm, low] = ["--calm", "--moderate"].map(colour);
    for (const {
      geometry: {
        coordinates: [west, north],
      },
      properties: group,
    } of features) {
      const isSingle = group.count === 1;
      const mark = L.circleMarker([north, west], {
        renderer,
        pane: "drones",
        radius: isSingle ? 2.6 : Math.min(2.6 + 1.05 * Math.log2(group.count), 16),
        weight: isSingle ? 0 : 1,
        color: calm,
        opacity: 0.75,
        fillColor: isSingle && group.low ? low : calm,
        fillOpacity: isSingle ? 0.9 : 0.22,
        bubblingMouseEvents: false,
      });
      mark.bindTooltip(() => says(group), { direction: "top", opacity: 1 });
      mark.on("click", () =>
        isSingle
          ? location.assign(droneLink(group.drone_id))
          : map.setView([north, west], Math.min(map.getZoom() + 2, 14)),
      );
      layer.addLayer(mark);
    }
    onCount(
      features.reduce(
        (sum, { properties: { count, low: few } }) => ({ count: sum.count + count, low: sum.low + few }),
        { count: 0, low: 0 },
      ),
    );
  }

  const refresh = throttled(load, 3000);
  map.on("moveend", load);
  onTheme(() => draw(shown));
  return { refresh, load };
}

function box(map) {
  const bounds = map.getBounds().pad(0.1);
  const within = (value, most) => Math.max(-most, Math.min(most, value)).toFixed(4);
  return [
    within(bounds.getWest(), 180),
    within(bounds.getSouth(), 90),
    within(bounds.getEast(), 180),
    within(bounds.getNorth(), 90),
  ].join(",");
}

/* A node, since Leaflet would treat a text as markup. */
function says(group) {
  const text =
    group.count === 1
      ? `${group.drone_id} · battery ${group.battery === null || group.battery === undefined ? "unknown" : `${fine.format(group.battery)} %`}`
      : `${whole.format(group.count)} drones · ${whole.format(group.low)} with low battery`;
  return Object.assign(document.createElement("span"), { textContent: text });
}
