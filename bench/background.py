"""Background work during a measurement, and the quantiles of a table's row."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def background(run: Callable[[threading.Event], None]) -> Iterator[None]:
    """`run` in a thread of its own, which must end when the event that it is given is set."""
    ends = threading.Event()
    thread = threading.Thread(target=run, args=(ends,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join(60)


def quantiles(values: Iterable[float], form: str) -> str:
    """p50, p99 and the longest of `values` as cells of a row, each in `form`, such as `{:.1f} ms`."""
    ordered = sorted(values) or [float("nan")]
    return " | ".join(form.format(ordered[min(len(ordered) - 1, int(len(ordered) * q))]) for q in (0.5, 0.99, 1))
