// @ts-check
/* Where alerts were raised in the chosen days: a batch view by cells of half a degree, drawn when its button is pressed. */

import { ask } from "./api.js";
import { colour, onTheme } from "./colours.js";
import { $, dayOf, whole, isVersion } from "./dom.js";
import { keep, state } from "./state.js";

const L = window.L;

/* {load}: loads the places of the range in the address; nothing while the button is not pressed. */
export function showHeat(map) {
  map.createPane("heat").style.zIndex = 410;
  const renderer = L.canvas({ pane: "heat", padding: 0.3 });
  const layer = L.layerGroup().addTo(map);
  const button = $("heat");
  let shown = [];

  async function load() {
    const isOn = state().heat === "1";
    button.setAttribute("aria-pressed", String(isOn));
    button.title = "";
    map.getContainer().classList.toggle("heated", isOn);
    if (!isOn) return draw([]);
    const { from, to } = state();
    const places = await ask("places", { from: from?.slice(0, 10), to: to?.slice(0, 10) });
    button.title = `${dayOf(places.from)} to ${dayOf(places.to)}, by the batch layer${!isVersion(places.batch_version) ? ": no run yet" : `, version ${places.batch_version}`}`;
    draw(places.features);
  }

  function draw(features) {
    shown = features;
    layer.clearLayers();
    const most = Math.max(...features.map(({ properties }) => properties.alerts), 1);
    const fillColor = colour("--alert");
    const small = map.getSize().x < 600 ? 8 : 13;
    for (const {
      geometry: {
        coordinates: [west, north],
      },
      properties: { alerts, reports },
    } of features) {
      const part = Math.sqrt(alerts / most); // by area, since people compare the areas of circles
      const mark = L.circleMarker([north, west], {
        renderer,
        pane: "heat",
        radius: 2.5 + small * part,
        stroke: false,
        fillColor,
        fillOpacity: 0.1 + 0.25 * part,
        bubblingMouseEvents: false,
      });
      mark.bindTooltip(
        () =>
          Object.assign(document.createElement("span"), {
            textContent: `${whole.format(alerts)} alerts in ${whole.format(reports)} reports`,
          }),
        { direction: "top", opacity: 1 },
      );
      layer.addLayer(mark);
    }
  }

  button.addEventListener("click", () => {
    keep({ heat: state().heat === "1" ? "" : "1" });
    dispatchEvent(new Event("heat"));
  });
  onTheme(() => draw(shown));
  return { load };
}
