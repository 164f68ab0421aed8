"""The thread that keeps MongoDB's views of what landed. MongoDB away stops nothing; it writes them when it is back."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Final

from structlog import get_logger

from infra import retry
from infra.mongo import client as mongo
from infra.mongo import layouts
from infra.operations import LOOPS
from speed_layer.landing.commit import Failpoint, Lake
from speed_layer.landing.last_states import BLOCK_SECONDS, LastStates
from speed_layer.landing.live_views import LiveViews, Pending

log = get_logger()

REPAIR_SECONDS: Final = 3.0
AWAY: Final = (Exception,)
"""Whatever goes wrong, the thread goes on: without it figures would stand still until somebody looks."""


class LiveThread:
    """Runs until closed; then writes what waits, if MongoDB is there."""

    def __init__(self, mongo_uri: str, lake: str, pending: Pending, failpoint: Failpoint) -> None:
        mongo.check(mongo_uri)  # a wrong one ends the process now: the thread would retry for ever
        self._uri, self._location, self._pending, self._failpoint = mongo_uri, lake, pending, failpoint
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._pending.wake()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        retry.run(self._session, self._stop, "live views", away=AWAY)

    def _session(self) -> None:
        with closing(mongo.client(self._uri, "landing", wait_ms=5000, answer_ms=20_000)) as client:
            database, lake = mongo.database(client), Lake(self._location)
            layouts.claim(database)
            views, states = LiveViews(database, lake), LastStates(database, lake)
            repair, blocks = Every(REPAIR_SECONDS), Every(BLOCK_SECONDS)
            while not self._stop.is_set():
                LOOPS.beat()
                self._pending.wait(REPAIR_SECONDS)
                if views.write(self._pending):
                    self._failpoint("5")
                for more in self._pending.take_states():
                    states.add(more)
                if blocks.due():
                    states.write()
                if repair.due():  # last: it fails while the log of what it lacks is gone, until a run is complete
                    views.repair()
            views.write(self._pending)
            for more in self._pending.take_states():
                states.add(more)
            states.write()


class Every:
    """Due at first, and then `seconds` after it was due."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._at = seconds, 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._at:
            return False
        self._at = now + self._seconds
        return True
