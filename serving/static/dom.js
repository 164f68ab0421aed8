// @ts-check
/* Elements, numbers and times. Text is set as text, so what a drone sent is never markup. */

export const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const percent = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: "UTC" });
const dayAndClock = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  timeZone: "UTC",
});
const dayLong = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** The element of the page with this id; which kind it is, the page knows.
    @type {(id: string) => any} */
export const $ = (id) => document.getElementById(id);

/* el("a", { href: "/" }, "text", node): attributes by name, `on…` as listeners, false and null left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export const share = (value) => (value === null || value === undefined ? "–" : `${percent.format(value * 100)} %`);
export const number = (value, form = whole) => (value === null || value === undefined ? "–" : form.format(value));
/* Of the lake; null if unknown, -1 if nothing has landed. */
export const isVersion = (version) => version !== null && version >= 0;
export const words = (name) => String(name).replaceAll("_", " ");
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const placeOf = (row) =>
  [row.city, row.country].filter((part) => part && part !== "unknown").join(", ") || "Place unknown";
export const droneLink = (id) => `/drones/${encodeURIComponent(id)}`;

export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

const SPOKEN_CHARACTERS = 280;
const opened = new Set();

/* What a drone heard: a long text is cut, with the whole behind a click. One that was opened stays so when its row is
   drawn again. */
export function spoken(text) {
  const characters = Array.from(text ?? "");
  if (characters.length <= SPOKEN_CHARACTERS) return text ?? "";
  const rest = characters.length - SPOKEN_CHARACTERS;
  return el(
    "details",
    {
      class: "spoken",
      open: opened.has(text),
      ontoggle: (event) => (event.target.open ? opened.add(text) : opened.delete(text)),
    },
    el(
      "summary",
      {},
      characters.slice(0, SPOKEN_CHARACTERS).join(""),
      el("span", { class: "cut" }, ` … ${whole.format(rest)} more characters`),
    ),
    characters.slice(SPOKEN_CHARACTERS).join(""),
  );
}

export const timeOf = (time) => (time ? `${clock.format(new Date(time))} UTC` : "–");
export const momentOf = (time) => (time ? dayAndClock.format(new Date(time)) : "–");
export const dayOf = (day) => dayLong.format(new Date(`${day.slice(0, 10)}T00:00:00Z`));

/* A <time> that says how long ago it was; `updateAges` keeps it true. */
export function since(time) {
  return el("time", { datetime: time, title: timeOf(time), "data-ago": true }, ago(time));
}

export function updateAges(root = document) {
  for (const each of /** @type {NodeListOf<HTMLTimeElement>} */ (root.querySelectorAll("time[data-ago]"))) {
    const age = ago(each.dateTime);
    if (each.textContent !== age) each.textContent = age;
  }
}

/* `run` at most once in `milliseconds`, also for the last call. */
export function throttled(run, milliseconds) {
  let timer = null;
  let ranAt = -Infinity;
  return () => {
    if (timer !== null) return;
    timer = setTimeout(
      () => {
        timer = null;
        ranAt = performance.now();
        run();
      },
      Math.max(0, ranAt + milliseconds - performance.now()),
    );
  };
}
