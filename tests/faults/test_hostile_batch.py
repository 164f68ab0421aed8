"""Drones that fill documents: an hour, a day, a block. Every sum stays exact, the neighbours' figures are published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pytest

from batch_layer.completeness import completeness, drone_quality
from batch_layer.job import Job
from batch_layer.lake import archive
from batch_layer.views import blocks, day_views, drone_counts, drone_days, drones, folding, hours, identities, publish
from fleet.errors import DocumentRefused
from fleet.figures import views
from fleet.figures.cube import HOURS
from fleet.figures.views import ALERTS
from fleet.reports.landed import hour_name
from infra.mongo import cells as document_cells
from infra.mongo import runs, view_parts
from infra.mongo.client import Documents
from infra.mongo.session import at_one_instant
from infra.mongo.view_parts import Divided
from serving.figures import batch_views
from serving.figures.drones import Drones
from serving.figures.merge import Merge
from tests.support import hostile, lakes

HOUR = int(lakes.START.timestamp()) // 3600
DAY = lakes.START.date()
MOST_OF_MONGO = 16 * 1024 * 1024
COUNTRIES = 19_500
"""Of 800 bytes; 18,850 such filled an hour."""
CITIES = 10_300
"""With a country of 800 bytes each; 9,985 such filled a day of cities."""


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    lakes.make(tmp_path)
    hostile.neighbours(tmp_path, lakes.START)
    hostile.neighbours(tmp_path, lakes.START + timedelta(hours=1))
    return tmp_path


@pytest.fixture
def job(lake: Path, mongo_database: Documents) -> Job:
    return Job(mongo_database, str(lake), lakes.arrow_engine, live_kept=timedelta(0))


def served(database: Documents) -> pa.Table:
    """What readers get of the neighbours' country."""
    return HOURS.merge(
        [Merge(database, 0).served(range(HOUR, HOUR + 2)).cells(HOUR, HOUR + 2, "worst_score", "France")]
    )


def of_day(database: Documents, cube: Any) -> pa.Table:
    return at_one_instant(database, lambda session: batch_views.summed(database, cube, (DAY, DAY), session))


def all_served(database: Documents) -> pa.Table:
    figures = Merge(database, 0).served(range(HOUR, HOUR + 2))
    return HOURS.merge(list(figures.hours.values()))


@pytest.mark.parametrize("rebuild", [False, True])
def test_an_hour_of_invented_countries_is_published_whole(lake: Path, job: Job, *, rebuild: bool) -> None:
    hostile.land(lake, lakes.START, country=hostile.long_names(COUNTRIES))
    done = hours.run(job, rebuild=rebuild)
    assert (done.computed, done.written, done.kind) == (2, 2, "hours")
    whole = HOURS.fold(lakes.everything(lake))
    assert all_served(job.database).equals(whole)
    assert sum(served(job.database)["reports"].to_pylist()) == 40
    stored = job.database.hours.find_one({"_id": hour_name(HOUR)})
    assert stored is not None
    assert stored["parts"] == job.database.view_parts.count_documents({}) + 1 > 1


def test_the_documents_of_a_flood_are_far_below_what_mongodb_takes(lake: Path, job: Job) -> None:
    hostile.land(lake, lakes.START, country=hostile.long_names(COUNTRIES))
    hours.run(job)
    for view in ("hours", "view_parts"):
        for document in job.database[view].find():
            assert len(bson.encode(document)) < MOST_OF_MONGO * 0.55


def test_a_later_run_replaces_all_parts_of_an_hour(lake: Path, job: Job) -> None:
    hostile.land(lake, lakes.START, country=hostile.long_names(COUNTRIES))
    hours.run(job)
    version = hostile.neighbours(lake, lakes.START)
    assert hours.run(job).computed == 1
    assert all_served(job.database).equals(HOURS.fold(lakes.everything(lake)))
    assert {part["version"] for part in job.database.view_parts.find({}, {"version": 1})} == {version}


def test_parts_of_a_run_that_is_overtaken_go(lake: Path, job: Job) -> None:
    """A slow run's document is refused where a newer one is there, and so nobody reads its parts."""
    newer = Divided({"_id": "x", "version": 2, "cells": {}}, ({"cells": {}},))
    older = Divided({"_id": "x", "version": 1, "cells": {}, "parts": 3}, ({"cells": {}}, {"cells": {}}))
    assert publish.replace(job.database, "hours", [replace(newer, document={**newer.document, "parts": 2})]) == 1
    assert publish.replace(job.database, "hours", [older]) == 0
    assert [part["version"] for part in job.database.view_parts.find()] == [2]


def test_starting_over_drops_parts(lake: Path, job: Job) -> None:
    hostile.land(lake, lakes.START, country=hostile.long_names(COUNTRIES))
    hours.run(job)
    runs.start_over(job.database, 0, lakes.START)
    assert job.database.view_parts.count_documents({}) == 0


def test_a_day_of_invented_cities_is_published_whole(lake: Path, job: Job) -> None:
    names = hostile.long_names(CITIES)
    hostile.land(lake, lakes.START, country=names, city=names[::-1])
    with_few_drones = replace(job, engine=computing(drone_days.SCHEMA.empty_table()))
    drones.run(with_few_drones)
    cells = of_day(job.database, day_views.CITIES)
    assert cells.equals(day_views.CITIES.fold(lakes.everything(lake)))
    assert {"country": "France", "city": "Paris", "reports": 40}.items() <= cells.to_pylist()[0].items()


def test_every_place_of_the_map_on_one_day_is_published_whole(job: Job) -> None:
    """A drone that reports from everywhere: 721 by 361 places, no text of its own."""
    places = views.PLACES
    rows = [(latitude, longitude, 1, 0) for latitude in range(-180, 181) for longitude in range(-360, 361)]
    cells = pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=places.schema.names)
    document = {"_id": DAY.isoformat(), "version": 1}
    divided = publish.of_cells(places, document, cells.cast(places.schema))
    publish.replace(job.database, places.name, [divided])
    assert of_day(job.database, places).equals(cells.cast(places.schema))


def test_a_block_of_invented_drones_is_published_whole(lake: Path, job: Job) -> None:
    """All ids chosen to lie in one block, with neighbours in it and in the others."""
    flood = hostile.names_of_one_block(9_000)
    fleet = [f"drone-{number}" for number in range(500)]
    table = drone_table([*flood, *fleet], [*flood, *["France"] * 500])
    drones.run(replace(job, engine=computing(table)))
    quality = drone_quality.of_day(job.database, DAY)
    assert quality["silent"] == 0
    assert quality["expected"] > 0
    stored = Drones(job.database).fleet()
    assert stored.rows.num_rows == table.num_rows
    assert stored.one("drone-7") is not None
    head = job.database.drone_days.find_one({"_id": f"{DAY}/00"})
    assert head is not None
    assert head["parts"] > 1
    counted = list(view_parts.whole(job.database, "drones_by_day", job.database.drones_by_day.find()))
    assert sum(sum(document["cells"]["drones"]) for document in counted) == table.num_rows


def test_counts_of_drones_by_invented_countries_are_published_whole(job: Job) -> None:
    countries = hostile.long_names(COUNTRIES)
    counts = drone_counts.Counts()
    ids = [f"drone-{number}" for number in range(COUNTRIES)]
    rows = pa.table({"drone_id": ids, "last_battery": [0] * COUNTRIES, "country": countries})
    counts.add([(DAY.isoformat(), rows)])
    for version in (1, 2):
        assert publish.replace_view(job.database, "drones_by_day", list(counts.documents(version)), version)
    (document,) = view_parts.whole(job.database, "drones_by_day", job.database.drones_by_day.find())
    assert document["version"] == 2
    assert document["cells"]["country"] == sorted(countries)
    assert {part["version"] for part in job.database.view_parts.find()} == {2}


def test_a_day_of_alerts_in_invented_countries_is_published_whole(job: Job) -> None:
    many = 20_500
    columns = {"kind": ["unrest"] * many, "severity": ["high"] * many, "country": sorted(hostile.long_names(many))}
    numbers = {name: [1] * many for name in ALERTS.measure_names}
    cells = pa.table({**columns, **numbers}).cast(ALERTS.schema)
    publish.replace(
        job.database, ALERTS.name, [publish.of_cells(ALERTS, {"_id": DAY.isoformat(), "version": 1}, cells)]
    )
    assert of_day(job.database, ALERTS).equals(cells)


def test_sealed_days_keep_their_parts(lake: Path, job: Job) -> None:
    hostile.land(lake, lakes.START, country=hostile.long_names(COUNTRIES))
    hours.run(job)
    before = all_served(job.database)
    with job.database.client.start_session() as session:
        kept = archive.collect(job.database, DAY, session)
    job.database.hours.delete_many({})
    job.database.view_parts.delete_many({})
    archive.put(job.database, kept)
    assert all_served(job.database).equals(before)


@pytest.mark.parametrize("names", [100, 101])
def test_names_are_folded_at_the_bound_and_not_before(names: int) -> None:
    cells = hour_cells(dict.fromkeys(hostile.long_names(names), 1))
    most = document_cells.encoded_size(hour_cells(dict.fromkeys(hostile.long_names(100), 1)))
    divided = publish.of_cells(HOURS, {"_id": "x", "version": 1}, cells, most)
    assert ("folded" in divided.document) == (names == 101)
    assert len(bson.encode(divided.document["cells"])) <= most
    assert sum(divided.document["cells"]["reports"]) == names


def test_the_remainder_has_a_name_and_what_is_on_a_list_goes_last() -> None:
    flood = dict.fromkeys(hostile.long_names(50), 1_000)
    cells = hour_cells({**flood, "Tuvalu": 1, "France": 3})
    folded, rest = folding.fold(HOURS, cells, 20_000)
    countries = set(folded["country"].to_pylist())
    assert rest is not None
    assert {"Tuvalu", "France", folding.OTHER} <= countries
    assert rest.names == 52 - (len(countries) - 1)
    assert (rest.counted, sum(folded["reports"].to_pylist())) == (rest.names * 1_000, 50_004)


def test_completeness_of_the_day_names_what_was_folded(lake: Path, job: Job) -> None:
    hours.run(job)
    job.database.hours.update_one({"_id": hour_name(HOUR)}, {"$set": {"folded": {"names": 1200, "counted": 34_000}}})
    completeness.run(job)
    (document,) = job.database.completeness.find()
    assert document["folded"] == [
        f"1,200 countries of {hour_name(HOUR)} with 34,000 reports are counted as {folding.OTHER}"
    ]


def test_a_document_that_mongodb_refuses_holds_up_no_other(job: Job) -> None:
    def of(name: str, text: str) -> Divided:
        return Divided({"_id": name, "version": 1, "text": text})

    documents = [of("a", ""), of("b", "x" * (MOST_OF_MONGO + 100)), of("c", "")]
    with pytest.raises(DocumentRefused, match="MongoDB refuses b of hours"):
        publish.replace(job.database, "hours", documents)
    assert [document["_id"] for document in job.database.hours.find({}, {"_id": 1})] == ["a", "c"]


def test_a_refused_hour_is_no_base_and_leaves_the_rest_right(lake: Path, job: Job) -> None:
    @contextmanager
    def refusing() -> Iterator[Any]:
        with lakes.arrow_engine() as engine:

            def cells(cube: Any, pinned: Any, wanted: Sequence[int]) -> Any:
                if HOUR in wanted:
                    raise DocumentRefused("MongoDB refuses it")
                return engine.cells(cube, pinned, wanted)

            yield Computed(cells)

    with pytest.raises(DocumentRefused):
        hours.run(replace(job, engine=refusing, chunk=1))
    assert [each["_id"] for each in job.database.hours.find({}, {"_id": 1})] == [hour_name(HOUR + 1)]
    assert runs.base_version(job.database) == runs.NO_BASE
    assert hours.run(job).computed == 1


def test_a_report_of_1970_makes_no_run_walk_through_the_years(lake: Path, job: Job) -> None:
    lakes.land(lake, [lakes.row(5_000, datetime(1970, 1, 1, tzinfo=UTC))])
    assert hours.run(job).computed == 3
    assert drones.run(job).computed == 2
    assert completeness.run(job) == 2
    days = ["1970-01-01", DAY.isoformat()]
    for view in ("city_days", "drones_by_day", "completeness"):
        assert [each["_id"] for each in job.database[view].find().sort("_id")] == days
    assert hours.run(job, range(10_000 * 366 * 24)).computed == 3


def hour_cells(reports: Mapping[str, int]) -> pa.Table:
    """Cells of one hour, by country; all measures are the reports."""
    columns = {"event_hour": [HOUR] * len(reports), "country": list(reports), "worst_score": [3] * len(reports)}
    numbers = {name: list(reports.values()) for name in HOURS.measure_names}
    return pa.table({**columns, **numbers}).cast(HOURS.schema)


def drone_table(ids: Sequence[str], countries: Sequence[str]) -> pa.Table:
    """A day of drones that each reported once."""
    at = HOUR * 3_600_000
    values: dict[str, Any] = {
        **dict.fromkeys(("reports", "minutes", "expected"), 1),
        **dict.fromkeys(("gaps", "alerts"), 0),
        **dict.fromkeys(("lowest_battery", "last_battery"), 50_000),
        **dict.fromkeys(("first_at", "last_at"), at),
        **dict.fromkeys(("first_latitude", "first_longitude", "last_latitude", "last_longitude"), 1.5),
    }
    columns = {name: [value] * len(ids) for name, value in values.items()}
    columns |= {"drone_id": list(ids), "country": list(countries), "city": list(countries)[::-1]}
    return pa.table({name: columns[name] for name in drone_days.SCHEMA.names}).cast(drone_days.SCHEMA)


@dataclass(frozen=True)
class Computed:
    """An engine that computes cells by `cells`."""

    cells: Any
    name: str = "pyarrow"


def computing(table: pa.Table) -> Any:
    """Starts an engine whose days have these drones."""

    class Engine(lakes.ArrowEngine):
        def drone_days(self, pinned: Any, day: date) -> pa.Table:
            return table.sort_by("drone_id").combine_chunks()

        def repeats(self, pinned: Any, hours: Any) -> pa.Table:
            return identities.REPEATS.empty_table()

    @contextmanager
    def start() -> Iterator[Any]:
        yield Engine()

    return start


def test_blocks_are_divided_at_the_bound_and_not_before() -> None:
    drone, other = [name for name in (f"d{number}" for number in range(1000)) if blocks.block_of(name) == 0][:2]
    table = drone_table([drone, other], ["France", "France"])
    most = document_cells.encoded_size(table)
    assert [next(blocks.documents(DAY, 1, table, most - less)).document.get("parts", 1) for less in (0, 1)] == [1, 2]
