"""Python's garbage collector, for processes that must be prompt or fast."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 20_000
"""New objects before a collection: more than one poll of Kafka creates, at three per message. With the default of 700
every poll caused useless collections, some of them of all objects."""


def spare() -> None:
    """Call it when everything is imported: the collector never visits the existing objects again, which took
    60 to 100 ms each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
