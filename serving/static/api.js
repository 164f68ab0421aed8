// @ts-check
/* Requests to the REST API. Where a sign-in is needed (session.js), the browser then sends its cookie by itself, also for
   the event stream and links. */

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function call(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "the server does not answer");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, body.detail ?? answer.statusText);
  return body;
}

/* ask("alerts", { country: "France" }): empty values are left out. */
export function ask(path, query = {}, options = {}) {
  return call(address(path, query), options);
}

export function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(given).toString();
  return `/api/v1/${path}${text ? `?${text}` : ""}`;
}

export function act(path, body = {}, method = "POST") {
  const sent = method === "POST" ? { body: JSON.stringify(body) } : {};
  return call(`/api/v1/${path}`, { method, headers: { "Content-Type": "application/json" }, ...sent });
}
