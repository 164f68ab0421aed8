"""A port is given to one process at a time, also before it listens."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from laptop import ports


@pytest.mark.parametrize(("age", "is_free"), [(0.0, False), (500.0, False), (700.0, True), (-700.0, True)])
def test_a_port_is_given_once_in_ten_minutes(tmp_path: Path, age: float, is_free: bool) -> None:
    folder = tmp_path / "ports"
    assert ports.take(20_000, folder)
    assert ports.take(20_001, folder)
    given_at = time.time() - age
    os.utime(folder / "20000", (given_at, given_at))
    assert ports.take(20_000, folder) is is_free
    assert not ports.take(20_001, folder)


def test_where_nothing_can_be_noted_every_port_is_free(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert ports.take(20_000, tmp_path / "file")
    assert ports.take(20_000, tmp_path / "file")


def test_no_port_is_given_twice() -> None:
    given = [ports.free_port() for _ in range(200)]
    assert len(set(given)) == len(given)
