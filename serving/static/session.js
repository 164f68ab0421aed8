// @ts-check
/* Who is signed in. With single sign-on the browser goes to the provider and comes back; a server with tokens asks for one;
   a server without either asks for a name alone, and only when somebody acts. */

import { act, ask } from "./api.js";
import { $ } from "./dom.js";

const ACTS = ["operator", "admin"];
const NAME = "peacewatch-operator";

/** @type {{needs_token: boolean, figures_open: boolean, role: string | null, by: string | null, sign_in: string | null} | null} */
let known = null;

async function session() {
  known ??= await ask("session");
  return known;
}

/* Call before a page loads its lists: asks for a token where one is needed. False: nobody has signed in. */
export async function signedIn() {
  return (await allowed({ figuresSuffice: false })) === "all";
}

/* What the page may load: "all", "figures" (open to everybody here, so nobody is asked to sign in), or "nothing".
   `figuresSuffice`: the page is of use by its figures alone. */
export async function allowed({ figuresSuffice }) {
  const now = await session().catch(() => null);
  if (!now || !now.needs_token) return "all";
  show(now);
  if (!now.role && figuresSuffice && now.figures_open) return "figures";
  if (!now.role) await signIn();
  return known?.role ? "all" : "nothing";
}

/* The name to act under; asks for a missing token, or one that was refused (`why`). Null: not signed in. */
export async function actor(why = "") {
  if (why && known?.sign_in) known = await ask("session"); // its session may have ended
  const now = await session();
  if (now.sign_in && now.role && (why || !ACTS.includes(now.role)))
    throw new Error(why || "this needs the role operator");
  if (!why && now.needs_token && ACTS.includes(now.role)) return now.by;
  const name = sessionStorage.getItem(NAME);
  if (!why && !now.needs_token && name) return name;
  return (await signIn(why)) ? (known?.by ?? sessionStorage.getItem(NAME)) : null;
}

/* Asks until a token is accepted. False: the dialog was cancelled, or the browser is going to the provider. */
async function signIn(why = "") {
  if (known?.sign_in) {
    const here = location.pathname + location.search;
    location.assign(`${known.sign_in}?next=${encodeURIComponent(here)}`);
    return false;
  }
  const dialog = /** @type {HTMLDialogElement} */ ($("sign-in"));
  const form = dialog.querySelector("form");
  $("sign-in-token").hidden = !known?.needs_token;
  form.elements.by.value = known?.by ?? sessionStorage.getItem(NAME) ?? "";
  for (let said = why; ;) {
    $("sign-in-why").textContent = said;
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
    const [by, token] = [form.elements.by.value.trim(), form.elements.token.value.trim()];
    form.elements.token.value = "";
    if (dialog.returnValue !== "ok") return false;
    sessionStorage.setItem(NAME, by);
    if (!known?.needs_token) return true;
    try {
      known = await act("session", { token, by });
      show(known);
      return true;
    } catch (error) {
      said = error.message;
    }
  }
}

function show(now) {
  const place = $("signed-in");
  place.hidden = false;
  $("my-sessions").hidden = !(now.sign_in && now.role);
  place.textContent = now.role ? `Sign out ${now.by ?? ""}`.trim() : "Sign in";
  place.onclick = async () => {
    if (!known?.role) return (await signIn()) && location.reload();
    const left = await act("session", {}, "DELETE").catch((error) => ({ error }));
    if (left.error) place.textContent = `Still signed in: ${left.error.message}`;
    else if (left.sign_out) location.assign(left.sign_out);
    else location.reload();
  };
}
