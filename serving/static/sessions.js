// @ts-check
/* The sessions of who is signed in, or everybody's for an admin, each with a button that ends it. */

import { act, ask } from "./api.js";
import { $, el, momentOf, since } from "./dom.js";
import { signedIn } from "./session.js";

function show({ sessions }) {
  $("says").textContent = sessions.length
    ? "A session ends 12 hours after signing in. One that is ended here stops within two seconds."
    : "No sessions: this server has no single sign-on, or you signed in with a token.";
  $("sessions").tBodies[0].replaceChildren(...sessions.map(row));
}

function row(session) {
  return el(
    "tr",
    {},
    el("td", { class: "clip", title: session.by }, session.by),
    el("td", {}, session.role),
    el("td", { class: "nowrap" }, since(session.started_at)),
    el("td", { class: "nowrap" }, momentOf(session.ends_at)),
    el(
      "td",
      {},
      session.current
        ? "this browser"
        : el("button", { type: "button", class: "plain", onclick: () => end(session.id) }, "End"),
    ),
  );
}

async function end(id) {
  await load(() => act(`sessions/${encodeURIComponent(id)}`, {}, "DELETE"));
}

async function load(request) {
  try {
    show(await request());
  } catch (error) {
    $("says").textContent = `Sessions cannot be shown: ${error.message}.`;
  }
}

await signedIn();
await load(() => ask("sessions"));
