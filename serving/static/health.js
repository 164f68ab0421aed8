// @ts-check
/* How far each layer is, loaded every five seconds. A late layer is marked by text, not by colour only. */

import { ask } from "./api.js";
import { allowed } from "./session.js";
import { $, ago, dayOf, el, number, updateAges, since, spoken, timeOf, whole, words, isVersion } from "./dom.js";

const EVERY_MS = 5000;
// Landing commits every 5 s; a batch run comes every hour; an alert is delivered in seconds unless Discord is away.
const LATE = { landing: 60, batch: 2 * 3600, delivery: 60 };
const late = new Map();

/* `why` the layer is late; empty: it is not; null: unknown. */
function layer(id, value, says, facts, why) {
  const place = $(id);
  if (why) late.set(id, why);
  else late.delete(id);
  if (why === null) delete place.dataset.state;
  else place.dataset.state = why ? "late" : "good";
  place.querySelector(".value").textContent = value;
  place.querySelector(".says").textContent = says;
  place
    .querySelector("dl")
    .replaceChildren(...facts.flatMap(([name, fact]) => [el("dt", {}, name), el("dd", {}, fact)]));
}

const duration = (seconds) =>
  seconds < 90 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : `${whole.format(seconds / 60)} min`;
const seconds = (milliseconds) => (milliseconds === null ? "–" : `${(milliseconds / 1000).toFixed(1)} s`);

function show(status) {
  const { landing, batch, alerts } = status;
  const age = (time) => (Date.parse(status.now) - Date.parse(time)) / 1000;
  const lag = landing.lag_seconds;
  layer(
    "landing",
    lag === null ? "No reports yet" : duration(lag),
    lag === null ? "" : "behind the broker",
    [
      ["Version", number(landing.version)],
      ["Committed", landing.committed_at ? since(landing.committed_at) : "–"],
      ["Lost", whole.format(landing.lost)],
    ],
    lag !== null && lag > LATE.landing
      ? "landing is behind"
      : landing.lost
        ? "messages expired before they were landed"
        : "",
  );
  layer(
    "batch",
    batch.finished_at ? ago(batch.finished_at, Date.parse(status.now)) : "No run yet",
    batch.finished_at ? "since the last complete run" : "all figures are from the live views",
    [
      ["Version", isVersion(batch.version) ? whole.format(batch.version) : "–"],
      ["Versions since", number(batch.versions_behind)],
      ["Hours written", number(batch.hours)],
    ],
    batch.finished_at && age(batch.finished_at) > LATE.batch ? "the last batch run was too long ago" : "",
  );
  layer(
    "delivery",
    alerts.undelivered ? `${whole.format(alerts.undelivered)} pending` : "All delivered",
    alerts.undelivered
      ? `the oldest since ${ago(alerts.oldest_undelivered, Date.parse(status.now))}`
      : "Discord has accepted every alert",
    [
      ["Half within", seconds(alerts.latency_ms.p50)],
      ["99 of 100 within", seconds(alerts.latency_ms.p99)],
      ["Measured", whole.format(alerts.latency_ms.of)],
    ],
    alerts.undelivered && age(alerts.oldest_undelivered) > LATE.delivery ? "alerts are pending" : "",
  );
  layer(
    "serving",
    isVersion(status.version) ? `Version ${whole.format(status.version)}` : "–",
    status.as_of ? `true at ${timeOf(status.as_of)}` : "nothing has landed",
    [["Open streams", whole.format(status.streams)]],
    "",
  );
  $("verdict").textContent = late.size
    ? `Needs attention: ${[...late.values()].join("; ")}.`
    : "All layers are up to date.";
  $("partitions").tBodies[0].replaceChildren(
    ...rows(landing.partitions, 4, (partition) => [
      [partition.name],
      [whole.format(partition.next_offset), "n"],
      [partition.landed_through ? since(partition.landed_through) : "–"],
      [whole.format(partition.lost), "n"],
    ]),
  );
}

/* Counts of the last hour and day are from Kafka, counts by reason from the batch layer. */
function rejectedMessages(now, { rejected }) {
  const known = now.newest !== null;
  layer(
    "rejected",
    known ? whole.format(now.last_hour) : "–",
    known ? "in the last hour" : now.why,
    [
      ["Last 24 hours", known ? whole.format(now.last_day) : "–"],
      ...(rejected.days
        ? [
            [
              rejected.days === 1 ? "On the last counted day" : `On ${rejected.days} counted days`,
              whole.format(rejected.messages),
            ],
          ]
        : []),
      ...rejected.reasons.map((each) => [words(each.reason), whole.format(each.messages)]),
    ],
    known ? "" : isFiguresOnly ? null : "rejected messages cannot be read",
  );
  $("rejected-messages").tBodies[0].replaceChildren(
    ...rows(now.newest ?? [], 4, (message) => [
      [since(message.rejected_at), "nowrap"],
      [el("span", {}, words(message.reason), el("small", {}, message.detail)), "why"],
      [whole.format(message.bytes), "n"],
      [spoken(message.excerpt), "heard"],
    ]),
  );
}

function rows(items, width, cells) {
  if (!items.length) return [el("tr", {}, el("td", { class: "none", colspan: String(width) }, "None yet."))];
  return items.map((item) =>
    el("tr", {}, ...cells(item).map(([content, kind]) => el("td", { class: kind ?? "" }, content))),
  );
}

function days(completeness) {
  const known = completeness.days.filter((day) => day.received !== null || day.complete !== null).reverse();
  $("days").tBodies[0].replaceChildren(
    ...rows(known, 8, (day) => [
      [dayOf(day.date)],
      [
        day.complete === null
          ? "unknown"
          : day.complete
            ? "yes"
            : `no${day.missing.length ? `: ${day.missing.join(", ")}` : ""}`,
        day.complete === false ? "lacking" : "",
      ],
      [number(day.received), "n"],
      [number(day.expected), "n"],
      [number(day.late), "n"],
      [number(day.copies), "n"],
      [number(day.conflicts), "n"],
      [number(day.rejected), "n"],
    ]),
  );
}

async function refresh() {
  try {
    const unknown = (error) => ({ newest: null, why: error.message });
    const [status, completeness, rejected] = await Promise.all([
      ask("status"),
      ask("completeness"),
      isFiguresOnly ? unknown({ message: "shown after signing in" }) : ask("rejects").catch(unknown),
    ]);
    rejectedMessages(rejected, status);
    show(status);
    days(completeness);
  } catch (error) {
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".layer")))
      delete place.dataset.state;
    $("verdict").textContent = `Status unavailable: ${error.message}.`;
  }
}

const isFiguresOnly = (await allowed({ figuresSuffice: true })) === "figures";
$("rejected-messages-block").hidden = isFiguresOnly;
refresh();
setInterval(() => document.hidden || refresh(), EVERY_MS);
setInterval(updateAges, 1000);
