"""What is there when a process has imported everything is spared; what comes after it is still collected."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from infra import gc_tuning


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Knot:
    """Reaches itself, so that only the collector can take it."""

    def __init__(self) -> None:
        self.itself = self


def test_existing_objects_are_spared_and_later_ones_collected() -> None:
    gc.unfreeze()
    gc_tuning.spare()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[0] == gc_tuning.YOUNG
    lost = weakref.ref(Knot())
    kept: list[list[None]] = [[] for _ in range(2 * gc_tuning.YOUNG)]
    assert lost() is None, len(kept)
