"""Served = batch ⊕ live, at every moment of random histories, on a real MongoDB, against adding up all commits."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pymongo import MongoClient
from pymongo.database import Database

from fleet.figures.cube import HOURS
from fleet.reports.landed import hour_name
from serving.figures.merge import Merge
from serving.figures.snapshot import ensure_indexes

FIRST = 480_000 + 22  # the range crosses days
HOURS_KNOWN = 8
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

Row = tuple[int, str, int, int]
rows = st.lists(
    st.tuples(
        st.integers(FIRST, FIRST + HOURS_KNOWN - 1),
        st.sampled_from(["Chile", "Fiji"]),
        st.integers(0, 10),
        st.integers(1, 9),
    ),
    max_size=6,
)


def cells(rows: list[Row]) -> pa.Table:
    parts = [
        HOURS.from_document(
            dict(
                zip(
                    HOURS.schema.names,
                    [[hour], [country], [score], [n], [n // 2], [n * 7], [1], [n], [n * score]],
                    strict=True,
                )
            )
        )
        for hour, country, score, n in rows
    ]
    return HOURS.merge(parts)


class Lake:
    """The table's commits, and what landers and batch runs make of them in MongoDB."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self.database = database
        self.commits: list[pa.Table] = []
        self.times: list[datetime] = []
        self.moments = count()
        self.started = 0
        ensure_indexes(database)

    def commit(self, rows: list[Row], *, lander_dies: bool = False) -> None:
        self.commits.append(cells(rows))
        self.times.append(NOON + timedelta(seconds=next(self.moments)))
        if not lander_dies:
            self.write_live(len(self.commits) - 1)

    def write_live(self, version: int) -> None:
        document = {
            "committed_at": self.times[version],
            "cells": HOURS.to_document(self.commits[version]),
        }
        self.database.live.replace_one({"_id": version}, document, upsert=True)

    def empty(self) -> None:
        """The database and the lake begin again; their clock goes on, so no later commit has the time of one before."""
        for name in ("live", "hours", "runs"):
            self.database[name].delete_many({})
        self.commits.clear()
        self.times.clear()

    def repair(self, version: int) -> None:
        if self.database.live.find_one({"_id": version}) is None:
            self.write_live(version)

    def at(self, version: int) -> pa.Table:
        return HOURS.merge(self.commits[: version + 1])

    @property
    def base(self) -> int:
        run = self.database.runs.find_one({"kind": "hours", "state": "complete"}, sort=[("version", -1)])
        return run["version"] if run else -1

    def start_run(self) -> Run:
        version = len(self.commits) - 1
        for missing in range(self.base + 1, version + 1):
            self.repair(missing)
        self.started += 1
        return Run(self, version, self.base, f"run-{self.started}")


class Run:
    """A batch run that pinned `version`, hour by hour."""

    def __init__(self, lake: Lake, version: int, base: int, name: str) -> None:
        self.lake, self.version, self.name = lake, version, name
        touched = HOURS.merge(lake.commits[base + 1 : version + 1])
        self.todo = sorted(set(touched["event_hour"].to_pylist()))

    def publish_one(self) -> None:
        hour = self.todo.pop()
        computed = self.lake.at(self.version)
        part = computed.filter(pc.equal(computed["event_hour"], hour))
        document = {"event_hour": hour, "version": self.version, "cells": HOURS.to_document(part)}
        stored = self.lake.database.hours.find_one({"_id": hour_name(hour)})
        if stored is None or stored["version"] <= self.version:
            self.lake.database.hours.replace_one({"_id": hour_name(hour)}, document, upsert=True)

    def complete(self) -> None:
        while self.todo:
            self.publish_one()
        document = {"kind": "hours", "state": "complete", "version": self.version, "started_at": NOON}
        self.lake.database.runs.replace_one({"_id": self.name}, document, upsert=True)


def check(merge: Merge, lake: Lake) -> int:
    """The served figures equal all commits up to their version added up; returns that version."""
    served = merge.served(range(FIRST, FIRST + HOURS_KNOWN))
    assert served.version >= lake.base
    got = HOURS.merge([served.cells(FIRST, FIRST + HOURS_KNOWN), HOURS.merge(served.hours.values())][1:])
    assert got == lake.at(served.version)
    rolled = served.cells(FIRST - FIRST % 24, FIRST + HOURS_KNOWN, "country", "Fiji")
    expected = lake.at(served.version)
    expected = expected.filter(pc.equal(expected["country"], "Fiji"))
    for measure in HOURS.measure_names:
        assert pc.sum(rolled[measure]) == pc.sum(expected[measure])
    return served.version


class Histories(RuleBasedStateMachine):
    """Landers, batch runs (also at once or interrupted), deleted live documents, servers that read often or seldom."""

    uri = ""

    def __init__(self) -> None:
        super().__init__()
        self.client = MongoClient[dict[str, Any]](self.uri, tz_aware=True)
        self.database = self.client[f"test_{uuid.uuid4().hex}"]
        self.lake = Lake(self.database)
        self.runs: list[Run] = []
        self.steady, self.sleepy = Merge(self.database, 0), Merge(self.database, 0)

    @rule(reports=rows, lander_dies=st.booleans())
    def commit(self, reports: list[Row], lander_dies: bool) -> None:
        self.lake.commit(reports, lander_dies=lander_dies)

    @rule()
    def repair(self) -> None:
        for version in range(self.lake.base + 1, len(self.lake.commits)):
            self.lake.repair(version)

    @rule()
    def start_run(self) -> None:
        if self.lake.commits:
            self.runs.append(self.lake.start_run())

    @rule(which=st.integers(0, 3))
    def publish_an_hour(self, which: int) -> None:
        if self.runs and self.runs[which % len(self.runs)].todo:
            self.runs[which % len(self.runs)].publish_one()

    @rule(which=st.integers(0, 3), interrupted=st.booleans())
    def end_run(self, which: int, interrupted: bool) -> None:
        if self.runs:
            run = self.runs.pop(which % len(self.runs))
            if not interrupted:
                run.complete()

    @rule()
    def grace_ends(self) -> None:
        self.database.live.delete_many({"_id": {"$lte": self.lake.base}})

    @rule()
    def database_is_emptied(self) -> None:
        self.lake.empty()
        self.runs.clear()

    @rule()
    def server_starts_anew(self) -> None:
        check(Merge(self.database, 0), self.lake)

    @rule()
    def sleeper_wakes(self) -> None:
        check(self.sleepy, self.lake)

    @invariant()
    def served_is_exact(self) -> None:
        check(self.steady, self.lake)

    def teardown(self) -> None:
        self.client.drop_database(self.database.name)
        self.client.close()


def test_served_equals_adding_up_all_commits_at_every_moment(mongo_server_uri: str) -> None:
    Histories.uri = mongo_server_uri
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            phases=[Phase.generate],  # making a failure small takes minutes; its steps are printed as they are
        ),
    )


@pytest.fixture
def lake(mongo_database: Database[dict[str, Any]]) -> Lake:
    return Lake(mongo_database)


ROW: Row = (FIRST, "Fiji", 3, 4)


def test_nothing_landed_is_no_version(lake: Lake) -> None:
    served = Merge(lake.database, 0).served(range(FIRST, FIRST + 3))
    assert (served.version, served.as_of, served.first_hour) == (-1, None, None)


def test_a_gap_in_the_live_documents_ends_what_is_served(lake: Lake) -> None:
    merge = Merge(lake.database, 0)
    lake.commit([ROW])
    lake.commit([ROW], lander_dies=True)
    lake.commit([ROW])
    assert check(merge, lake) == 0
    lake.write_live(1)
    assert check(merge, lake) == 2
    assert merge.served().as_of == NOON + timedelta(seconds=2)


def test_an_emptied_database_is_noticed_at_the_same_version(lake: Lake) -> None:
    """The time of the commit says that it is another one."""
    merge = Merge(lake.database, 0)
    lake.commit([])
    assert check(merge, lake) == 0
    lake.empty()
    lake.commit([ROW])
    assert check(merge, lake) == 0


def test_a_request_reads_only_live_documents_that_are_new(lake: Lake) -> None:
    merge = Merge(lake.database, 0)
    for _ in range(3):
        lake.commit([ROW])
    check(merge, lake)
    lake.database.live.update_many({"_id": {"$lt": 2}}, {"$set": {"cells": "unreadable"}})
    lake.commit([ROW])
    assert check(merge, lake) == 3


def test_corrections_of_a_run_are_served(lake: Lake) -> None:
    """An hour document that says something else than the commits do takes effect with its run."""
    merge = Merge(lake.database, 0)
    lake.commit([ROW])
    check(merge, lake)
    lake.commits[0] = cells([(FIRST, "Fiji", 3, 9)])  # the lake was mended
    lake.start_run().complete()
    assert check(merge, lake) == 0


def test_figures_as_old_as_allowed_cost_no_reading(lake: Lake) -> None:
    merge = Merge(lake.database, 3600)
    lake.commit([ROW])
    first = merge.served([FIRST])
    lake.commit([ROW])
    assert merge.served([FIRST]) is first
    assert merge.served([FIRST, FIRST + 1]) is first  # an hour past the last report needs no reading either


def test_server_that_slept_until_live_documents_were_deleted_starts_over(lake: Lake) -> None:
    merge = Merge(lake.database, 0)
    lake.commit([ROW])
    check(merge, lake)
    lake.commit([ROW])
    lake.commit([(FIRST + 1, "Chile", 2, 3)])
    lake.start_run().complete()
    lake.database.live.delete_many({})
    assert check(merge, lake) == 2


def test_a_collection_or_an_index_that_is_being_made_costs_no_answer(lake: Lake) -> None:
    """MongoDB refuses snapshots of before that; one is there a moment later."""
    lake.commit([ROW])
    for number in range(30):
        lake.database.hours.create_index([(f"field{number}", 1)])
        lake.database[f"other{number}"].insert_one({})
        lake.database.runs.drop() if number % 10 == 0 else None
        lake.database.runs.insert_one({"kind": "other"})
        assert Merge(lake.database, 0).served([FIRST]).version == 0
