// @ts-check
/* A page that somebody must sign in for: asks, and shows the page. */

import { signedIn } from "./session.js";

// Not reload(): a browser sends no SameSite=Strict cookie when it repeats a way that began at another site.
if (await signedIn()) location.replace(location.href);
