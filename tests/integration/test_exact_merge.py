"""Served = batch ⊕ live is a full recomputation at the version that the answer names, at every instant.

Random histories on a real MongoDB: commits and late reports, landers that die between commit and live document,
repairs, compactions by deltalake's means and ours, batch runs that are whole, of a range, interrupted, or outrun by
others, days that are sealed. After every step, and within runs before each hour document, what readers get is compared
with a fold over the lake's rows at the version it names, and those that sealing has taken out of it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_layer.engine import StartEngine
from batch_layer.job import Job
from batch_layer.lake import compact, sealed
from batch_layer.retention import seal
from batch_layer.spark import comet
from batch_layer.views import hours
from fleet.errors import BadInput, ServiceUnavailable
from fleet.figures.cube import HOURS
from fleet.figures.roll_up import roll_up
from fleet.reports.counted_places import OTHER
from infra import delta
from infra.mongo import live, runs
from infra.mongo.client import Documents
from serving.figures.days import Keep, form_of
from serving.figures.merge import Merge
from serving.figures.snapshot import ensure_indexes
from tests.support import lakes, spark_engines

START = lakes.START + timedelta(hours=16)
"""Two hours before midnight: hours 0 and 1 are of the day that may be sealed, 2 and 3 of the next."""
SEALED = START.date()
FIRST_HOUR = int(START.timestamp()) // 3600
HISTORIES = 12
"""Others at each run of the suite; `script/test --all` has 1,500 more."""
SPARK_HISTORIES = 10
"""Each asks Spark some dozen questions."""
PART_BYTES = 400
"""Two cells a document: most commits of these histories are in several."""
HOURS_ASKED = range(FIRST_HOUR - 1, FIRST_HOUR + 5)
DAYS = range(FIRST_HOUR // 24, FIRST_HOUR // 24 + 2)
FORMS: dict[Keep, list[str]] = {"event_hour": ["event_hour"], "country": ["country"], "worst_score": ["worst_score"]}

reports = st.lists(st.integers(0, 3), min_size=1, max_size=4)
"""The hour of each report of a commit."""

simple = st.one_of(
    st.tuples(st.just("land"), reports),
    st.tuples(st.just("land and die"), reports),
    st.tuples(st.just("land with an old table"), reports),
    st.tuples(st.just("repair"), st.just(0)),
    st.tuples(st.just("compact"), st.booleans()),
    st.tuples(st.just("compact and die"), st.just(0)),
)
no_options: dict[str, Any] = {}
nested = st.lists(st.one_of(simple, st.tuples(st.just("run"), st.just(no_options))), max_size=2)
run = st.tuples(
    st.just("run"),
    st.fixed_dictionaries(
        {
            "inside": st.lists(st.one_of(simple, st.sampled_from([("run", {}), ("seal", {})])), max_size=3),
            "dies_at": st.sampled_from([None, None, 0, 1]),
            "range": st.sampled_from([None, None, None, (0, 0), (1, 3)]),
            "rebuild": st.booleans(),
            "forget": st.booleans(),
        }
    ),
)
seal_the_day = st.tuples(
    st.just("seal"),
    st.fixed_dictionaries(
        {
            "inside": st.dictionaries(st.sampled_from(["closed", "computed", "archived", "removed"]), nested),
            "dies_at": st.sampled_from([None, None, "closed", "computed", "archived", "removed"]),
        }
    ),
)
steps = st.sampled_from((simple, simple, run, seal_the_day)).flatmap(lambda kind: kind)
histories = st.lists(steps, min_size=1, max_size=9)


class World:
    """A lake, a database, readers: one that keeps its fold in memory, and at each look one that starts from nothing."""

    def __init__(self, lake: Path, database: Documents, start: StartEngine = lakes.arrow_engine) -> None:
        self.lake = lake
        self.start_engine = start
        self.database = database
        for name in database.list_collection_names():
            self.database[name].delete_many({})
        ensure_indexes(self.database)
        self.reader = Merge(self.database, max_age=0)
        self.day_reader = Merge(self.database, max_age=0)
        self.landed = 0
        self.taken_out = (10**9, lakes.table([]))  # since which version, which rows
        self.old = lakes.make(lake)
        self._live(0)

    def do(self, steps: Sequence[tuple[str, Any]]) -> None:
        for step, argument in steps:
            getattr(self, step.replace(" ", "_"))(argument)
            self.look()

    def land(self, hours_of_reports: list[int]) -> None:
        self._live(self._commit(hours_of_reports))

    def land_and_die(self, hours_of_reports: list[int]) -> None:
        self._commit(hours_of_reports)

    def land_with_an_old_table(self, hours_of_reports: list[int]) -> None:
        """A lander that looked at the table long ago. Refused, it begins again."""
        old, self.old = self.old, DeltaTable(self.lake / "reports")
        rows = self._rows(hours_of_reports, sealed_through=delta.of_table(old).sealed_through)
        try:
            write_deltalake(old, lakes.table(rows), mode="append")
        except CommitFailedError:
            self.land(hours_of_reports)

    def seal(self, how: dict[str, Any]) -> None:
        inside = how.get("inside", {})

        def failpoint(step: str) -> None:
            if step == "removed":
                self._note_what_was_taken_out()
            self.look()
            self.do(inside.get(step, []))
            if step == how.get("dies_at"):
                raise ServiceUnavailable("sealing dies here")

        job = Job(self.database, str(self.lake), lambda: self._engine({}), live_kept=timedelta(hours=1), chunk=1)
        with contextlib.suppress(ServiceUnavailable):
            seal.run(job, SEALED, failpoint)

    def repair(self, _: int = 0) -> None:
        with contextlib.suppress(ServiceUnavailable):  # the files are gone: only a run over everything helps
            live.write_missing(self.database, delta.pin(str(self.lake)), runs.base_version(self.database))

    def compact(self, ours: bool = False) -> None:
        """By deltalake's own means in one commit, or by ours in one an hour."""
        before = delta.pin(str(self.lake)).version
        if ours:
            self.compact_and_die()
        else:
            lakes.compact(self.lake)
        for version in range(before + 1, delta.pin(str(self.lake)).version + 1):
            self._live(version)

    def compact_and_die(self, _: int = 0) -> None:
        """Nobody writes the live documents of these versions."""
        lake = str(self.lake)
        compact.run(lake, compact.groups(delta.pin(lake), FIRST_HOUR + 100))

    def look(self, _: int = 0) -> None:
        """Both readers' figures are those of a fold over the rows at the version they name."""
        for reader in (self.reader, Merge(self.database, max_age=0)):
            served = reader.served(HOURS_ASKED)
            got = HOURS.merge([served.hours[hour] for hour in HOURS_ASKED if hour in served.hours])
            assert got.to_pylist() == self._recomputed(served.version).to_pylist(), f"at version {served.version}"
        for reader in (self.day_reader, Merge(self.database, max_age=0)):
            self._look_at_days(reader)

    def _look_at_days(self, reader: Merge) -> None:
        """Of whole days each statistic's cells are those of a fold, whether their roll-ups are stored or not."""
        for keep, keys in FORMS.items():
            for country in (None, "Chad"):
                form = form_of(keep, country)
                served = reader.served((), DAYS, form)
                recomputed = self._recomputed(served.version)
                rows = recomputed if country is None else recomputed.filter(pc.equal(recomputed["country"], country))
                cells = served.cells(DAYS.start * 24, DAYS.stop * 24, keep, country)
                got = roll_up(HOURS.merge([cells]), keys)
                assert got.equals(HOURS.merge([roll_up(rows, keys)])), (served.version, keep, country)

    def run(self, how: dict[str, Any]) -> None:
        asked = how.get("range")
        wanted = None if asked is None else range(FIRST_HOUR + asked[0], FIRST_HOUR + asked[1] + 1)
        live_kept = timedelta(0) if how.get("forget") else timedelta(hours=1)
        job = Job(self.database, str(self.lake), lambda: self._engine(how), live_kept=live_kept, chunk=1)
        with contextlib.suppress(ServiceUnavailable, BadInput):  # a range may be sealed
            hours.run(job, wanted, rebuild=how.get("rebuild", False))

    @contextmanager
    def _engine(self, how: dict[str, Any]) -> Iterator[Any]:
        inside = iter(how.get("inside", []))
        done = 0

        def cells(cube: Any, pinned: Any, wanted: Any) -> pa.Table:
            nonlocal done
            self.look()
            self.do([step for step in [next(inside, None)] if step])
            if done == how.get("dies_at"):
                raise ServiceUnavailable("the run dies here")
            done += 1
            return engine.cells(cube, pinned, wanted)

        with self.start_engine() as engine:
            yield SimpleNamespace(
                cells=cells,
                cells_of=engine.cells_of,
                drone_days=engine.drone_days,
                repeats=engine.repeats,
                name=engine.name,
            )

    def _commit(self, hours_of_reports: list[int]) -> int:
        through = delta.pin(str(self.lake)).sealed_through
        return lakes.land(self.lake, self._rows(hours_of_reports, through))

    def _rows(self, hours_of_reports: list[int], sealed_through: date | None) -> list[dict[str, Any]]:
        """What a lander that knows of `sealed_through` lands: it rejects reports of sealed days."""
        rows = [
            lakes.row(self.landed + number, START + timedelta(hours=hour, minutes=number), **self._place(number))
            for number, hour in enumerate(hours_of_reports)
        ]
        self.landed += len(rows)
        return [row for row in rows if sealed_through is None or row["date"] > sealed_through]

    def _place(self, number: int) -> dict[str, Any]:
        """Every other report has a name of 800 bytes that no list knows, or is counted under "other"."""
        if number % 2:
            return {}
        name = f"{self.landed + number:03}" + "\U0001f300" * 197
        counted = name if self.landed % 3 else OTHER
        return {"country": counted, "city": counted, "reported_country": name, "reported_city": name}

    def _note_what_was_taken_out(self) -> None:
        """Just after sealing has removed files: which rows, and since which version."""
        for version in range(DeltaTable(self.lake / "reports").version(), 0, -1):
            before = delta.pin(str(self.lake), version - 1)
            if sealed.with_files(before, SEALED):
                rows = lakes.everything(self.lake, version - 1)
                self.taken_out = (version, rows.filter(pc.equal(rows["date"], SEALED)))
                return

    def _live(self, version: int) -> None:
        pinned = delta.pin(str(self.lake))
        commit = pinned.commit(version)
        live.insert(self.database, version, commit.committed_at, live.cells(pinned, commit), most=PART_BYTES)

    def _recomputed(self, version: int) -> pa.Table:
        if version < 0:
            return HOURS.empty()
        since, gone = self.taken_out
        rows = lakes.everything(self.lake, version)
        cells = HOURS.fold(pa.concat_tables([rows, gone.select(rows.column_names)]) if version >= since else rows)
        return cells.filter(pc.is_in(cells["event_hour"], pa.array(HOURS_ASKED, pa.int32())))


@pytest.mark.timeout(1800)  # it looks at thousands of moments, and a busy machine has many at once
@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories)
def test_served_figures_equal_a_full_recomputation_at_every_instant(
    history: list[Any], mongo_database: Documents
) -> None:
    check(history, mongo_database)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(5))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories)
def test_many_histories(history: list[Any], part: int, mongo_database: Documents) -> None:
    """1,500 in parts, each with histories of its own: a machine's other work need not wait for all of them."""
    check(history, mongo_database)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("wanted", [comet.AUTO, comet.OFF])
def test_histories_that_spark_computes(wanted: str, tmp_path: Path, mongo_database: Documents) -> None:
    """The same law, with hours by a real Spark: its native engine, and without it."""
    with spark_engines.running(wanted, tmp_path) as engine:

        @settings(max_examples=SPARK_HISTORIES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(history=histories)
        def holds(history: list[Any]) -> None:
            check(history, mongo_database, lambda: contextlib.nullcontext(engine))

        holds()


def check(history: list[Any], database: Documents, start: StartEngine = lakes.arrow_engine) -> None:
    lake = Path(tempfile.mkdtemp())
    try:
        world = World(lake, database, start)
        world.do(history)
        world.repair()
        world.run({})
        world.look()
        assert runs.base_version(world.database) == delta.pin(str(lake)).version
    finally:
        shutil.rmtree(lake)


def test_into_an_emptied_database_nobody_sees_half_of_the_figures(tmp_path: Path, mongo_database: Documents) -> None:
    world = World(tmp_path / "lake", mongo_database)
    world.do([("land", [0, 1]), ("land", [1, 2]), ("run", {}), ("land", [3])])
    for name in ("hours", "live", "runs"):
        world.database[name].delete_many({})
    world.do([("run", {"inside": [("look", 0), ("land", [0]), ("look", 0)]}), ("repair", 0)])
    assert Merge(world.database, max_age=0).served().version == 4


def test_beyond_a_gap_that_nobody_can_close_readers_take_no_newer_document(
    tmp_path: Path, mongo_database: Documents
) -> None:
    world = World(tmp_path / "lake", mongo_database)
    world.do([("land", [0, 1]), ("land and die", [0, 1]), ("land", [2])])
    lost = delta.pin(str(world.lake)).commit(2).added
    world.compact(ours=False)
    for path in lost:
        (world.lake / "reports" / path).unlink()
    everything = delta.pin(str(world.lake)).version
    with pytest.raises(ServiceUnavailable):
        live.write_missing(world.database, delta.pin(str(world.lake)), -1)
    first = live.cells(delta.pin(str(world.lake)), delta.pin(str(world.lake)).commit(1))
    seen = []

    @contextmanager
    def looking() -> Iterator[Any]:
        def cells(*asked: Any) -> pa.Table:
            served = Merge(world.database, max_age=0).served(HOURS_ASKED)
            got = HOURS.merge([served.hours[hour] for hour in HOURS_ASKED if hour in served.hours])
            seen.append((served.version, got.equals(first)))
            return engine.cells(*asked)

        with lakes.arrow_engine() as engine:
            yield SimpleNamespace(cells=cells, name=engine.name)

    hours.run(Job(world.database, str(world.lake), looking, chunk=1))
    assert seen == [(1, True)] * 3
    assert Merge(world.database, max_age=0).served().version == everything
