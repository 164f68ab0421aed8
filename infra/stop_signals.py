"""SIGTERM and Ctrl-C, handled in the same way by every command that runs until it is stopped.

Python runs a handler between two steps of whatever the main thread does. If it set an event while the main thread is
inside `Event.wait`, it would wait for ever for a lock that its own thread holds. So another thread does what a signal
asks for.
"""

from __future__ import annotations

import _thread
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, Final

STOP: Final = (signal.SIGTERM, signal.SIGINT)
TERMINAL: Final = (*STOP, signal.SIGHUP)
"""Includes the signal of a closed terminal."""


@contextmanager
def calling(
    ask: Callable[[], None], numbers: tuple[signal.Signals, ...] = STOP, *, once: bool = False
) -> Iterator[None]:
    """Calls `ask` in a separate thread for each signal of `numbers`, while the block runs.

    `once`: a second signal has its former effect, so that Ctrl-C twice ends a command that does not stop.
    """
    before: dict[int, Any] = {}

    def handler(number: int, _frame: object) -> None:
        if once:
            signal.signal(number, before[number])
        _thread.start_new_thread(ask, ())  # `threading.Thread.start` takes locks that the main thread may hold

    for number in numbers:
        before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for signal_number, handler_before in before.items():
            signal.signal(signal_number, handler_before)


@contextmanager
def interrupting(number: signal.Signals) -> Iterator[None]:
    """Treats the signal `number` like Ctrl-C, while the block runs."""

    def handler(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def stop_event(*, once: bool = False) -> Iterator[Event]:
    """An event that is set by SIGTERM or Ctrl-C."""
    stop = Event()
    with calling(stop.set, once=once):
        yield stop
