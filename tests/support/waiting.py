"""Waits for other threads, processes and servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any, Final

import httpx

LOOK_SECONDS: Final = 0.05
LONGEST_PAUSE: Final = 0.5
LOOKS: Final = 20
"""A wait that takes long looks more rarely, since looking takes the time of the services it waits for: a twentieth of
the wait is the next pause."""

JOIN_SECONDS: Final = 60.0


def wait_for(
    condition: Callable[[], bool],
    seconds: float = 120.0,
    what: str | Callable[[], str] = "it",
    passing: tuple[type[Exception], ...] = (),
) -> None:
    """Looks until `condition` holds. `seconds` is for a machine that is busy, not how long it should take.

    `what` is what did not happen, a text or how to make one, such as the logs; `passing` errors are looked past.
    """
    began = time.monotonic()
    deadline = began + seconds
    while True:
        with suppress(*passing):
            if condition():
                return
        if time.monotonic() > deadline:
            raise AssertionError(f"{what if isinstance(what, str) else what()} did not happen within {seconds:.0f} s")
        time.sleep(min(max(LOOK_SECONDS, (time.monotonic() - began) / LOOKS), LONGEST_PAUSE))


def answers(address: str) -> bool:
    """Whether a server answers there, and says that all is well."""
    with suppress(httpx.HTTPError):
        return httpx.get(address, timeout=10, follow_redirects=True).is_success
    return False


@contextmanager
def running(target: Callable[..., object], *args: Any) -> Iterator[None]:
    """`target` with `args` and an event, in a thread of its own, until the event is set at the end."""
    stop = Event()
    thread = Thread(target=target, args=(*args, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=JOIN_SECONDS)
        assert not thread.is_alive()
