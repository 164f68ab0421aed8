// @ts-check
/* The page's colours for a canvas, which has no CSS variables. */

const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);

/* colour("--land") as rgb(…), of the present theme. */
export function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

export function onTheme(run) {
  addEventListener("themechange", run);
}
