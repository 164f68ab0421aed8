// @ts-check
/* The event stream, resumed without a gap or a double: the browser goes on after the last id by itself, and where the
   server refused the stream (503, restarted behind a proxy) it is opened again after the last id that was seen. */

const LONGEST_PAUSE = 10_000;
const HIDDEN_MS = 30_000;

/* Calls `handlers` by event name, `load` when everything must be reloaded, and `onState` with live or waiting. */
export function listen(handlers, { load, onState }) {
  const names = Object.keys(handlers);
  let last = "";
  let pause = 1000;
  let source;

  function open() {
    const after = last ? `&after=${encodeURIComponent(last)}` : "";
    source = new EventSource(`/api/v1/stream?events=${names.join(",")}${after}`);
    source.onopen = () => {
      pause = 1000;
      onState("live");
      if (!last) load(); // no event to continue after: the lists have what happened meanwhile
    };
    source.onerror = () => {
      onState("waiting");
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(() => source.readyState === EventSource.CLOSED && open(), pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    };
    for (const name of names) {
      source.addEventListener(name, (event) => {
        last = event.lastEventId || last;
        handlers[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("reset", (event) => {
      last = event.lastEventId || last;
      load();
    });
  }

  /* A browser opens six connections to a server for all its tabs: a hidden tab closes its stream. */
  let hiding = null;
  const close = () => {
    source.close();
    onState("waiting");
  };
  const reopen = () => {
    clearTimeout(hiding);
    if (source.readyState === EventSource.CLOSED) open();
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiding = setTimeout(close, HIDDEN_MS);
    else reopen();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => {
    if (event.persisted) reopen();
  });
  open();
}
