"""The event stream: one reader of MongoDB's change stream, many listeners.

The hub keeps the last events in a ring, and a listener is a position in it: an event is stored once however many
listen. A client that comes back with the id of the last event it saw continues in the ring. Where the ring no longer
has that event (or the server was started since), the listener first reads a change stream of its own up to the hub's
position: no event is missing, and none comes twice.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any, Final

import structlog
from pymongo.change_stream import ChangeStream
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from fleet.errors import ServiceUnavailable
from infra.retry import Backoff
from serving.events.events import PIPELINE, TOKEN, Event, event, of_change

PING_SECONDS: Final = 5.0
"""Seconds without an event before a ping: only a write shows that a listener is gone, and proxies close a connection
that is silent for 30 s or more."""

REMEMBERED: Final = 20_000
"""Events in the ring: a few minutes of the worst day. For older ones a listener reads MongoDB itself."""

REMEMBERED_BYTES: Final = 32 * 2**20
"""Of their text: 20,000 usual events take half of it, and as many alerts full of controls would take 300 MB."""

GATHER_SECONDS: Final = 0.03
"""How long a listener collects events after the first: 200 threads that wake for each event would starve the
requests."""

AWAIT_MS: Final = 1000
HISTORY_LOST: Final = (260, 280, 286)
"""MongoDB's error codes for a resume token that it does not know (any more)."""

LONGEST_PAUSE: Final = 5.0
"""Seconds between attempts to read MongoDB's changes: a page without changes for longer looks broken."""

Changes = ChangeStream[dict[str, Any]]
Events = Generator[bytes | Event, None, None]
_log = structlog.get_logger()


class Hub:
    """Reads changes once for all listeners. Starts with the first listener; `close` ends all streams."""

    def __init__(
        self,
        database: Database[dict[str, Any]],
        clients: int,
        each: int | None = None,
        *,
        ping_seconds: float = PING_SECONDS,
        remembered: tuple[int, int] = (REMEMBERED, REMEMBERED_BYTES),
    ) -> None:
        """At most `clients` streams are open, and `each` of one client. The constants explain the other arguments."""
        self._database = database
        self._clients = clients
        self._ping_seconds = ping_seconds
        self._each = clients if each is None else each
        self._listeners: Counter[str] = Counter()  # by client
        self._ring: deque[tuple[int, Event]] = deque()
        self._remembered, self._remembered_bytes = remembered
        self._ring_bytes = 0
        self._next = 0  # number of the next event
        self._place = ""  # the token up to which the ring holds every event
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def listeners(self) -> int:
        return self._listeners.total()

    @property
    def ring_bytes(self) -> int:
        """Bytes of text in the ring."""
        return self._ring_bytes

    def listen(self, last_id: str | None, client: str = "") -> Events:
        """Events after `last_id`, or from now on; b"" where nothing has happened for `ping_seconds`.

        Raises ServiceUnavailable when too many listen, in all or of this client, or MongoDB does not answer.
        """
        with self._changed:
            if self._listeners.total() >= self._clients or self._listeners[client] >= self._each:
                raise ServiceUnavailable("too many open event streams; retry later", retry_after=self._ping_seconds)
            self._listeners[client] += 1
        try:
            self._start()
            events = self._events(last_id, client)
            next(events)  # from here on it is counted, until it is closed
        except BaseException:
            self._leave(client)
            raise
        return events

    def close(self) -> None:
        """Ends the reader and all streams."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread:
            self._thread.join(timeout=5)

    def _leave(self, client: str) -> None:
        with self._changed:
            self._listeners[client] -= 1
            if self._listeners[client] <= 0:
                del self._listeners[client]

    def _start(self) -> None:
        """Waits until the reader has a position in the change stream: no later change is missed."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
                self._thread.start()
            if not self._changed.wait_for(lambda: self._place or self._closed.is_set(), timeout=3):
                raise ServiceUnavailable("the database does not answer now")

    def _events(self, last_id: str | None, client: str) -> Events:
        try:
            with self._changed:
                at, place = self._next, self._place
                known = self._after(last_id) if last_id else None
            yield b""
            if known is not None:
                at = known
            elif last_id:
                yield from self._missed(last_id, place)
            yield from self._follow(at)
        finally:
            self._leave(client)

    def _after(self, last_id: str) -> int | None:
        """The number of the event after `last_id`, where the ring still reaches back to it."""
        return next((number + 1 for number, held in reversed(self._ring) if held.id == last_id), None)

    def _missed(self, last_id: str, place: str) -> Iterator[Event]:
        """The events after `last_id` up to the hub's `place`; a reset where MongoDB no longer has them."""
        if not TOKEN.fullmatch(last_id):
            yield event(place, "reset", {"reason": "this is not the id of an event"})
            return
        try:
            with self._watch(last_id) as changes:
                while not self._closed.is_set():
                    change = changes.try_next()
                    if change is not None and change["_id"]["_data"] <= place:
                        if missed := of_change(change):
                            yield missed
                    elif change is not None or _token(changes) >= place:
                        return
        except OperationFailure as error:
            _log.info("stream cannot resume where it was", reason=error)
            yield event(place, "reset", {"reason": "too much has happened since; reload everything"})

    def _follow(self, at: int) -> Events:
        while not self._closed.is_set():
            with self._changed:
                self._wait_beyond(at)
                first = self._ring[0][0] if self._ring else self._next
                if at < first and at < self._next:
                    return  # it was too slow for the ring, and reconnects with its last id
                newer = [held for _, held in islice(self._ring, at - first, None)] if self._ring else []
                at = self._next
            yield from newer or (b"",)
            time.sleep(GATHER_SECONDS)

    def _wait_beyond(self, at: int) -> None:
        self._changed.wait_for(lambda: self._next > at or self._closed.is_set(), timeout=self._ping_seconds)

    def _run(self) -> None:
        backoff = Backoff(longest=LONGEST_PAUSE)
        while not self._closed.is_set():
            try:
                self._read()
            except PyMongoError as error:
                _log.warning("event stream lost MongoDB", error=error)
                if isinstance(error, OperationFailure) and error.code in HISTORY_LOST:
                    self._restart()
                self._closed.wait(backoff.fail())
            else:
                backoff.succeed()

    def _restart(self) -> None:
        """MongoDB no longer knows the hub's position: listeners must reload everything."""
        lost, self._place = self._place, ""
        self._publish(event(lost, "reset", {"reason": "the database was set up again"}))

    def _read(self) -> None:
        with self._watch(self._place) as changes:
            self._publish(None, _token(changes))
            while not self._closed.is_set():
                change = changes.try_next()
                self._publish(of_change(change) if change else None, _token(changes))

    def _publish(self, new: Event | None, place: str = "") -> None:
        """Adds events to the ring, which then holds every change up to `place`."""
        with self._changed:
            is_first = not self._place
            self._place = place or self._place
            if new:
                self._ring.append((self._next, new))
                self._next += 1
                self._ring_bytes += len(new.text)
                self._forget()
            if new or is_first:  # waking 200 threads each second for nothing would slow the requests
                self._changed.notify_all()

    def _forget(self) -> None:
        """The newest event stays, however long it is."""
        while len(self._ring) > 1 and (len(self._ring) > self._remembered or self._ring_bytes > self._remembered_bytes):
            _, oldest = self._ring.popleft()
            self._ring_bytes -= len(oldest.text)

    def _watch(self, after: str) -> Changes:
        return self._database.watch(
            PIPELINE,
            full_document="updateLookup",
            max_await_time_ms=AWAIT_MS,
            resume_after={"_data": after} if after else None,
        )


def _token(changes: Changes) -> str:
    token = changes.resume_token
    return str(token["_data"]) if token else ""
