// @ts-check
/* The page of a refusal that a sign-in can lift: signs in, then shows the requested page. */

import { signedIn } from "./session.js";

// Not reload(): a browser that repeats a navigation from another site sends no SameSite=Strict cookie.
if (await signedIn()) location.replace(location.href);
