"""What ends a process: SIGTERM and Ctrl-C, handled the same way by every command that runs until it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, Final

STOP: Final = (signal.SIGTERM, signal.SIGINT)
TERMINAL: Final = (*STOP, signal.SIGHUP)
"""Also the closing of the terminal that the command runs in."""


@contextmanager
def calling(
    ask: Callable[[], None], numbers: tuple[signal.Signals, ...] = STOP, *, once: bool = False
) -> Iterator[None]:
    """Calls `ask` in the main thread for each signal of `numbers`, while the block runs.

    `once`: a second signal does what it did before the block, so that Ctrl-C twice ends what does not stop.
    """
    before: dict[int, Any] = {}

    def handler(number: int, _frame: object) -> None:
        if once:
            signal.signal(number, before[number])
        ask()

    for number in numbers:
        before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for signal_number, handler_before in before.items():
            signal.signal(signal_number, handler_before)


@contextmanager
def stop_event(*, once: bool = False) -> Iterator[Event]:
    """An event that is set by SIGTERM or Ctrl-C."""
    stop = Event()
    with calling(stop.set, once=once):
        yield stop
