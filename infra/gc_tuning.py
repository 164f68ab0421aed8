"""Python's collector of unreachable objects, for processes that have to be prompt or fast."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 20_000
"""Objects that may be made before it looks: more than one poll of Kafka holds for a moment, three a message. At its own
700 it looked in vain at every poll, and after some of them at everything that there is."""


def spare() -> None:
    """Call when everything is imported: what is there then is never looked at again, which took 60 to 100 ms a time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
