"""A progress bar on a terminal; elsewhere nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from laptop.feed.producer import Feed

EVERY_SECONDS: Final = 0.1


Watch = Callable[[Feed], None]
"""Called after each message, so it must be cheap."""


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Watch]:
    """Shows a bar of acknowledged messages on stderr if that is a terminal. `total` is None if unknown."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(what, total=total, rate=0.0)
        begin = last = time.monotonic()

        def show(feed: Feed) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= EVERY_SECONDS or feed.acknowledged == total:
                last = now
                bar.update(task, completed=feed.acknowledged, rate=feed.acknowledged / (now - begin))

        yield show


def _ignore(_feed: Feed) -> None:
    pass
