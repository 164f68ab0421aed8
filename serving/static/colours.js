// @ts-check
/* The page's own colours for a canvas, which knows nothing of CSS variables. */

const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);

/* colour("--land") as rgb(…), in the colours that the page has now. */
export function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

export function onTheme(run) {
  addEventListener("themechange", run);
}
