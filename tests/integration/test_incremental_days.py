"""The views of a day after any history equal those of all its rows, and a late report has no whole day read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from batch_layer.job import Job
from batch_layer.ranges import hours_of_day
from batch_layer.views import blocks, day_views, drones
from fleet.errors import ServiceUnavailable
from infra import delta
from infra.mongo.client import Documents
from tests.support import lakes

START = lakes.START + timedelta(hours=16)
"""Two hours before midnight: four hours are of two days."""
DAYS = [START.date(), START.date() + timedelta(days=1)]
HISTORIES: Final = 5
"""Besides the four that are spelt out, one for each kind of step that is not a landing."""
MANY_HISTORIES: Final = 50

landing = st.tuples(st.just("land"), st.integers(0, 3))
"""What lands again is a duplicate, since equal seeds make equal reports."""
others = st.tuples(st.sampled_from(["run", "run", "compact", "die", "vacuum", "delete", "fold"]), st.integers(0, 3))
histories = st.lists(st.one_of(landing, others), min_size=2, max_size=9)


class Looking(lakes.ArrowEngine):
    """Notes what it is asked to read, and dies at the view cells of the day number `dies_at`."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.read: list[tuple[str, int]] = []
        self._dies_at = dies_at

    def cells_of(self, cubes: Sequence[Any], pinned: Any, hours: Sequence[int]) -> list[pa.Table]:
        if [what for what, _ in self.read].count("cells") == self._dies_at:
            raise ServiceUnavailable("the run dies here")
        self.read.append(("cells", len(pinned.uris(hours))))
        return super().cells_of(cubes, pinned, hours)

    def drone_days(self, pinned: Any, day: date) -> pa.Table:
        self.read.append(("drones", len(pinned.uris(hours_of_day(day)))))
        return super().drone_days(pinned, day)

    def repeats(self, pinned: Any, hours: Sequence[int]) -> pa.Table:
        self.read.append(("repeats", len(pinned.uris(hours))))
        return super().repeats(pinned, hours)


class World:
    def __init__(self, lake: Path, database: Documents) -> None:
        for name in database.list_collection_names():
            database[name].delete_many({})
        lakes.make(lake)
        self.lake, self.database = lake, database

    def land(self, seed: int) -> None:
        lakes.land(self.lake, lakes.some_rows(6, seed=seed, hours=4, start=START, first=seed * 6))

    def run(self, _: int = 0, dies_at: int | None = None) -> list[tuple[str, int]]:
        engine = Looking(dies_at)

        @contextmanager
        def start() -> Iterator[Any]:
            yield engine

        drones.run(Job(self.database, str(self.lake), start))
        return engine.read

    def die(self, at: int) -> None:
        try:
            self.run(dies_at=at // 2)
        except ServiceUnavailable:
            event("died")

    def compact(self, _: int) -> None:
        lakes.compact(self.lake)

    def vacuum(self, _: int) -> None:
        """Takes the files of commits that were joined since."""
        DeltaTable(self.lake / "reports").vacuum(0, dry_run=False, enforce_retention_duration=False)

    def delete(self, number: int) -> None:
        """By hand: no part of the product takes reports away but by the day."""
        DeltaTable(self.lake / "reports").delete(f"kafka_partition = {number % 2}")

    def fold(self, number: int) -> None:
        """As where a document had no room for all names: its cells are not those of the rows any more."""
        empty = day_views.CITIES.to_document(day_views.CITIES.empty())
        self.database.city_days.update_one(
            {"_id": str(DAYS[number % 2])}, {"$set": {"cells": empty, "folded": {"names": 2, "counted": 3}}}
        )
        lakes.land(self.lake, [lakes.row(800 + number, START + timedelta(hours=3 * (number % 2)))])

    def check(self) -> None:
        pinned, plain = delta.pin(str(self.lake)), lakes.ArrowEngine()
        for day in DAYS:
            hours, name = hours_of_day(day), {"_id": str(day)}
            if not pinned.size(hours):
                continue
            for cube, cells in zip(day_views.VIEWS, plain.cells_of(day_views.VIEWS, pinned, hours), strict=True):
                document = self.database[cube.name].find_one(name)
                assert document is not None
                assert cube.from_document(document["cells"]).equals(cells), (cube.name, day)
            stored = self.database.drone_days.find({"day": str(day)})
            rows = pa.concat_tables(blocks.rows(each["last"], each["rest"], each["state"]) for each in stored)
            assert rows.sort_by("drone_id").equals(plain.drone_days(pinned, day)), day
            repeats = plain.repeats(pinned, hours).to_pylist()
            document = self.database.copies.find_one(name)
            assert document is not None
            assert document["by_hour"] == [list(row.values()) for row in repeats], day
            assert document["copies"] == sum(row["duplicates"] for row in repeats)


@settings(max_examples=HISTORIES, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(history=[("land", 0), ("run", 0), ("delete", 0)])
@example(history=[("land", 0), ("land", 1), ("run", 0), ("fold", 0), ("run", 0), ("fold", 1)])
@example(history=[("land", 0), ("run", 0), ("land", 1), ("die", 2), ("land", 1), ("die", 3), ("land", 2)])
@example(history=[("land", 0), ("run", 0), ("land", 0), ("compact", 0), ("run", 0), ("land", 2), ("vacuum", 0)])
@given(history=histories)
def test_views_of_days_after_any_history(mongo_database: Documents, history: list[tuple[str, int]]) -> None:
    check(mongo_database, history)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=MANY_HISTORIES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_views_of_days_after_many_histories(mongo_database: Documents, history: list[tuple[str, int]]) -> None:
    check(mongo_database, history)


def check(database: Documents, history: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), database)
        for step, argument in [*history, ("run", 0)]:
            getattr(world, step)(argument)
            if step == "run":
                world.check()


@pytest.fixture
def world(tmp_path: Path, mongo_database: Documents) -> World:
    """Some hours, computed."""
    world = World(tmp_path, mongo_database)
    for seed in range(4):
        world.land(seed)
    world.run()
    return world


def late(world: World) -> None:
    """A report of the first day, twice: of its hour the repeats are counted again, of the others they are kept."""
    first = lakes.row(900, START + timedelta(minutes=5), drone_id="drone-0")
    lakes.land(world.lake, [first, {**first, "kafka_offset": 901}])


def test_a_late_report_has_its_own_file_read_and_its_hour_for_repeats(world: World) -> None:
    late(world)
    hour = delta.event_hour(START.date(), START.hour)
    of_hour = len(delta.pin(str(world.lake)).hours[hour])
    assert world.run() == [("drones", 1), ("cells", 1), ("repeats", of_hour)]
    world.check()


def test_a_late_report_that_was_joined_with_others_is_still_read_by_itself(world: World) -> None:
    late(world)
    world.compact(0)
    assert world.run() == [("drones", 1), ("cells", 1), ("repeats", 1)]
    world.check()


def test_a_file_that_is_gone_has_the_day_read_whole(world: World) -> None:
    late(world)
    world.compact(0)
    world.vacuum(0)
    files = len(delta.pin(str(world.lake)).uris(hours_of_day(DAYS[0])))
    assert world.run() == [("drones", files), ("cells", files), ("repeats", files)]
    world.check()


@pytest.mark.parametrize("options", [{"rebuild": True}, {"wanted": range(hours_of_day(DAYS[0]).start, 10**7)}])
def test_requested_range_is_computed_from_all_rows(world: World, options: dict[str, Any]) -> None:
    """It repairs what is stored."""
    world.database.place_days.update_many({}, {"$set": {"cells": {}}})
    world.database.copies.update_many({}, {"$set": {"by_hour": [[1, 2, 3]], "copies": 7}})
    drones.run(Job(world.database, str(world.lake), lakes.arrow_engine), **options)
    world.check()
