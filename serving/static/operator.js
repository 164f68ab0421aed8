// @ts-check
/* An operator's actions: acknowledge or resolve an incident, silence a kind, place or drone for a while.
   The API sends it to the notifier; the incident comes back changed by the event stream. */

import { act, ask } from "./api.js";
import { $, el, momentOf, words } from "./dom.js";
import { actor } from "./session.js";

const MINUTES = [
  [30, "30 minutes"],
  [60, "1 hour"],
  [240, "4 hours"],
  [1440, "a day"],
];

/* Sends an action; asks for a token again while the given one is refused. False: the action was not sent. */
async function perform(path, body, method = "POST") {
  let by = await actor();
  while (by !== null) {
    try {
      await act(path, { ...body, by }, method);
      return true;
    } catch (error) {
      if (![401, 403].includes(error.status)) throw error;
      by = await actor(error.message);
    }
  }
  return false;
}

/* The form below an incident. */
export function actions(row) {
  const note = el("input", {
    name: "note",
    maxlength: "500",
    placeholder: "Note, shown in Discord too",
    "aria-label": "Note",
  });
  const said = el("p", { class: "said", role: "status" });
  const path = `incidents/${encodeURIComponent(row.incident_id)}`;
  const button = (label, run, main = "") =>
    el("button", { type: "button", class: main, onclick: (event) => once(event.currentTarget, said, run) }, label);
  const done = async (what, how) => {
    said.textContent = (await perform(`${path}/${what}`, { note: note.value.trim() })) ? how : "";
  };
  const quiet = silence(row, note, said);
  const isOver = row.state === "resolved";
  return el(
    "form",
    { class: "actions", onsubmit: (event) => event.preventDefault() },
    note,
    el(
      "div",
      { class: "bar" },
      isOver
        ? ""
        : button("Acknowledge", () => done("acknowledge", "Acknowledged. Discord shows it within seconds."), "main"),
      isOver ? "" : button("Resolve", () => done("resolve", "Resolved. Discord shows it within seconds.")),
      quiet.toggle,
    ),
    quiet.choice,
    said,
  );
}

function silence(row, note, said) {
  const scopes = scopesOf(row);
  const scope = el(
    "select",
    { "aria-label": "What to silence" },
    ...scopes.map(([label], index) => el("option", { value: index }, label)),
  );
  const minutes = el(
    "select",
    { "aria-label": "For how long" },
    ...MINUTES.map(([value, label]) => el("option", { value }, label)),
  );
  minutes.value = "60";
  const run = async () => {
    const [, target] = scopes[Number(scope.value)];
    const body = { .../** @type {object} */ (target), minutes: Number(minutes.value), note: note.value.trim() };
    if (await perform("silences", body)) {
      said.textContent = "Silenced. Alerts are still stored and counted.";
      choice.hidden = true;
      dispatchEvent(new Event("silenced"));
    }
  };
  const choice = el(
    "div",
    { class: "bar silence", hidden: true },
    scope,
    minutes,
    el("button", { type: "button", onclick: (event) => once(event.currentTarget, said, run) }, "Silence"),
  );
  const toggle = el(
    "button",
    {
      type: "button",
      "aria-expanded": "false",
      onclick: () => {
        choice.hidden = !choice.hidden;
        toggle.setAttribute("aria-expanded", String(!choice.hidden));
      },
    },
    "Silence…",
  );
  return { toggle, choice };
}

function scopesOf(row) {
  const kind = words(row.kind);
  const place = row.country && row.country !== "unknown";
  return [
    place && row.city ? [`${kind} in ${row.city}`, { kind: row.kind, country: row.country, city: row.city }] : null,
    place ? [`${kind} in ${row.country}`, { kind: row.kind, country: row.country }] : null,
    place && row.city ? [`all of ${row.city}`, { country: row.country, city: row.city }] : null,
    row.kind !== "unrest" && row.drones[0] ? [`drone ${row.drones[0]}`, { drone: row.drones[0] }] : null,
    [`all ${kind}`, { kind: row.kind }],
  ].filter(Boolean);
}

async function once(button, said, run) {
  button.disabled = true;
  said.textContent = "Sending…";
  try {
    await run();
    if (said.textContent === "Sending…") said.textContent = "";
  } catch (error) {
    said.textContent = `Not done: ${error.message}.`;
  } finally {
    button.disabled = false;
  }
}

/* The silences in force, each with a button that ends it. Returns the function that reloads them. */
export function makeSilences() {
  const [button, place] = [$("silences"), $("silence-list")];
  async function load() {
    try {
      const silences = (await ask("silences")).silences;
      button.textContent = silences.length ? `Silences (${silences.length})` : "Silences";
      place.replaceChildren(
        silences.length ? el("ul", {}, ...silences.map(each)) : el("p", { class: "quiet" }, "No silences in force."),
      );
    } catch (error) {
      place.replaceChildren(el("p", { class: "quiet" }, `Silences cannot be shown: ${error.message}.`));
    }
  }
  const each = (silence) =>
    el(
      "li",
      {},
      el(
        "span",
        {},
        targetOf(silence.target),
        el(
          "small",
          {},
          ` until ${momentOf(silence.until)}, by ${silence.by}${silence.note ? `: ${silence.note}` : ""}`,
        ),
      ),
      el(
        "button",
        {
          type: "button",
          class: "plain",
          onclick: async (event) => {
            event.currentTarget.disabled = true;
            if (await perform(`silences/${encodeURIComponent(silence.id)}`, {}, "DELETE")) await load();
          },
        },
        "End",
      ),
    );
  button.addEventListener("click", () => {
    place.hidden = !place.hidden;
    button.setAttribute("aria-expanded", String(!place.hidden));
    if (!place.hidden) load();
  });
  addEventListener("silenced", load);
  return load;
}

function targetOf({ kind, country, city, drone_id: drone }) {
  const place = [city, country].filter(Boolean).join(", ");
  return [kind ? words(kind) : "everything", place && `in ${place}`, drone && `of drone ${drone}`]
    .filter(Boolean)
    .join(" ");
}
