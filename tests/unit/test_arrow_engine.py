"""Small questions by Arrow: equal to plain loops, and to no others than small ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_layer.arrow_engine import MOST_BYTES, SmallFirst, small_first
from batch_layer.views import day_views
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import delta
from tests.support import lakes

START = datetime(2026, 11, 24, tzinfo=UTC)


@contextmanager
def never() -> Iterator[Any]:
    pytest.fail("Spark is started for a small question")
    yield


def made(lake: Path, seed: int) -> delta.Snapshot:
    """Reports of a day and two hours in three commits, with duplicates and two drones that share a place."""
    lakes.make(lake)
    lakes.land(lake, lakes.some_rows(300, seed=seed, hours=26, start=START))
    lakes.land(lake, [lakes.row(900 + n, START + timedelta(minutes=59 + n), drone_id="steady") for n in range(3)])
    twin = {"battery": 50.0, "kafka_offset": 7}
    lakes.land(lake, [lakes.row(1000 + n, START, drone_id=f"twin {n}", country="Mali", **twin) for n in range(2)])
    lakes.land(lake, lakes.some_rows(7, seed=seed, hours=26, start=START))  # again
    return delta.pin(str(lake))


@pytest.mark.parametrize("seed", range(4))
def test_arrow_answers_as_plain_loops_do(seed: int, tmp_path: Path) -> None:
    pinned, loops = made(tmp_path, seed), lakes.ArrowEngine()
    hours = list(pinned.hours)
    with small_first(never) as engine:
        assert engine.cells(HOURS, pinned, hours).equals(HOURS.fold(lakes.everything(tmp_path)))
        for cube, cells in zip(day_views.VIEWS, engine.cells_of(day_views.VIEWS, pinned, hours), strict=True):
            assert cells.equals(loops.cells(cube, pinned, hours)), cube.name
        for day in (START.date() + timedelta(days=n) for n in range(3)):
            assert engine.drone_days(pinned, day).equals(loops.drone_days(pinned, day)), day
        assert engine.repeats(pinned, hours).equals(loops.repeats(pinned, hours))
        assert engine.name == "Arrow"


def test_identity_has_the_time_and_other_content_is_a_conflict(tmp_path: Path) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.repeated(START))
    pinned = delta.pin(str(tmp_path))
    hour = next(iter(pinned.hours))
    counted = [
        {"event_hour": hour, "duplicates": 2, "conflicts": 2},
        {"event_hour": hour + 1, "duplicates": 1, "conflicts": 1},
    ]
    with small_first(never) as engine:
        assert engine.repeats(pinned, list(pinned.hours)).to_pylist() == counted
        assert lakes.ArrowEngine().repeats(pinned, list(pinned.hours)).to_pylist() == counted


def test_delays_at_the_ends_of_their_buckets(tmp_path: Path) -> None:
    """To the microsecond, and below zero: a drone's clock may be ahead."""
    ends = [end * 1_000_000 + apart for end in day_views.DELAY_BUCKETS for apart in (-1, 0, 1)]
    rows = [
        lakes.row(n, START, received_at=START + timedelta(microseconds=delay))
        for n, delay in enumerate([-5_000_000, 0, *ends])
    ]
    lakes.make(tmp_path)
    lakes.land(tmp_path, rows)
    pinned = delta.pin(str(tmp_path))
    with small_first(never) as engine:
        cells = engine.cells(day_views.DELAYS, pinned, list(pinned.hours))
    assert cells["delay_bucket"].to_pylist() == list(range(len(day_views.DELAY_BUCKETS) + 1))
    assert cells["reports"].to_pylist() == [3, *[3] * (len(day_views.DELAY_BUCKETS) - 1), 2]


class Large(lakes.ArrowEngine):
    """In place of Spark."""

    name = "Spark"


def test_larger_questions_go_to_spark(tmp_path: Path) -> None:
    """At the bound and one byte past it; Spark is started once."""
    pinned = made(tmp_path, 0)
    hours, started = list(pinned.hours), []

    @contextmanager
    def large() -> Iterator[Any]:
        started.append(True)
        yield Large()

    def ask(most: int) -> tuple[str, int]:
        started.clear()
        with small_first(large) as found:
            engine = SmallFirst(large, found._running, most)
            engine.cells(HOURS, pinned, hours)
            engine.drone_days(pinned, START.date())
            engine.repeats(pinned, hours[:24])
            return engine.name, len(started)

    size, day = pinned.size(hours), pinned.size(range(hours[0], hours[0] + 24))
    assert ask(size) == ("Arrow", 0)
    assert ask(size - 1) == ("Arrow, Spark", 1)  # the day is smaller than the whole
    assert ask(day - 1) == ("Spark", 1)
    assert size < MOST_BYTES


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    pinned = made(tmp_path, 0)
    file = Path(pinned.uris(pinned.hours)[0])
    file.write_bytes(b"PAR1 and no more")
    with small_first(never) as engine, pytest.raises(ServiceUnavailable, match=file.name):
        engine.cells(HOURS, pinned, list(pinned.hours))


def test_no_reports_give_no_rows(tmp_path: Path) -> None:
    lakes.make(tmp_path)
    pinned = delta.pin(str(tmp_path))
    with small_first(never) as engine:
        assert engine.cells(HOURS, pinned, [5]).equals(HOURS.empty())
        assert engine.drone_days(pinned, START.date()).num_rows == 0
        assert engine.repeats(pinned, [5]).num_rows == 0
