"""Answers of the API while two landers, batch runs and compactions are at work, each against DuckDB.

The checker takes the version that an answer names, the file list of that version, and columns of the report itself,
none that landing has derived.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from pymongo.database import Database

from batch_layer import engine
from batch_layer.job import Job
from batch_layer.lake import compact
from batch_layer.spark import aggregate, session
from batch_layer.views import hours
from fleet import topics
from fleet.errors import ServiceUnavailable
from infra import delta
from infra.java import java
from serving.app import create_app
from serving.config import Config
from serving.services import connect
from tests.support import lakes
from tests.support.lander_processes import landers
from tests.support.landing import report, send

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOURS = 30
RANGES = ("averages", "alerts-by-country", "alerts-by-part-of-day", "alerts-by-peace-score", "low-battery", "series")
MEASURES = """count(*), count(*) FILTER (alert), coalesce(sum(round_even(battery * 1000, 0)::BIGINT), 0)::BIGINT,
    coalesce(sum(len(citizens)), 0)::BIGINT,
    coalesce(sum(list_sum(list_transform(citizens, lambda c: c.peace_score))), 0)::BIGINT,
    count(*) FILTER (battery < 20)"""
AT = "(epoch_us(reported_at) // 3600000000)"
COUNTED = Counter[str]
Taken = tuple[str, dict[str, str], dict[str, Any]]
"""Name of the statistic, query, answer."""


@pytest.mark.slow
def test_fifty_answers_while_all_are_at_work(
    kafka: str, topic: Callable[..., str], tmp_path: Path, mongo_uri: str, mongo_database: Database[dict[str, Any]]
) -> None:
    seen = live(kafka, topic, tmp_path, mongo_uri, mongo_database, lakes.arrow_engine, answers=50)
    assert seen["answers"] == 50


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_thousand_answers_while_all_are_at_work(
    kafka: str, topic: Callable[..., str], tmp_path: Path, mongo_uri: str, mongo_database: Database[dict[str, Any]]
) -> None:
    """With Spark as the engine, started once and kept."""

    def spark() -> Any:
        return aggregate.start(session.SparkConfig(java=java(), scratch=tmp_path / "spark"))

    seen = live(kafka, topic, tmp_path, mongo_uri, mongo_database, spark, answers=1000)
    print(f"\n{dict(seen)}")
    assert seen["answers"] == 1000
    assert min(seen["versions"], seen["compactions"]) >= 20


def live(
    kafka: str,
    topic: Callable[..., str],
    folder: Path,
    mongo_uri: str,
    database: Database[dict[str, Any]],
    start: engine.StartEngine,
    answers: int,
) -> COUNTED:
    """Takes at least `answers` answers, of several versions, and checks the last of them; what there was meanwhile."""
    reports, rejected = topic(topics.REPORTS), topic(topics.REJECTED)
    seen, stop = Counter[str](), threading.Event()
    config = Config(mongo_uri, max_age=0, rate_limit="100000 per second")
    services = connect(config)
    client = create_app(config, services).test_client()
    taken: list[Taken] = []
    with (
        closing(services),
        landers(kafka, reports, rejected, mongo_uri, folder) as running,
        engine.kept(start) as kept,
    ):
        running.start()
        running.start()
        send(kafka, reports, (message(number) for number in range(500)))
        running.wait_landed()
        lake = running.lake
        work = [
            lambda: feed(kafka, reports, stop),
            lambda: batch(Job(database, lake, kept, live_kept=timedelta(seconds=5), chunk=3), seen),
            lambda: compacting(lake, seen),
        ]
        with at_work(work, stop):
            choose = random.Random(7)
            while len(taken) < answers or seen["runs"] < 2 or not seen["compactions"] or versions(taken) < 5:
                name, query = wanted(choose)
                answer = client.get(f"/api/v1/statistics/{name}", query_string=query)
                assert answer.status_code == 200, answer.text
                taken.append((name, query, answer.get_json()))
    check(Path(lake), taken[-answers:])
    seen.update(answers=len(taken[-answers:]), versions=versions(taken[-answers:]))
    return seen


def message(number: int) -> dict[str, Any]:
    """Spread over the hours; most are late."""
    return report(number, reported_at=(NOW - timedelta(minutes=number * 37 % (HOURS * 60))).isoformat())


def feed(kafka: str, reports: str, stop: threading.Event) -> None:
    for first in count(500, 40):
        if stop.is_set():
            return
        send(kafka, reports, (message(number) for number in range(first, first + 40)))


def batch(job: Job, seen: COUNTED) -> None:
    with suppress(ServiceUnavailable):  # a compaction may take a file away only after a vacuum, and there is none
        seen["runs"] += hours.run(job).computed > 0


def compacting(lake: str, seen: COUNTED) -> None:
    planned = compact.groups(delta.pin(lake), int(NOW.timestamp()) // 3600)
    seen["compactions"] += sum(not done.reason for done in compact.run(lake, planned))


@contextmanager
def at_work(parts: list[Callable[[], None]], stop: threading.Event) -> Iterator[None]:
    """Each of them again and again, in a thread; what one raises fails the test."""
    raised: list[BaseException] = []

    def again(part: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                part()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    threads = [threading.Thread(target=again, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=300)
    assert not raised, raised


def wanted(choose: random.Random) -> tuple[str, dict[str, str]]:
    """A query of some hours and some country; drones, and so low batteries, are counted by whole days."""
    first, last = sorted(choose.choices(range(HOURS), k=2), reverse=True)
    name = choose.choice(RANGES)
    form = "%Y-%m-%d" if name == "low-battery" else "%Y-%m-%dT%H"
    begin, end = ((NOW - timedelta(hours=back)).strftime(form) for back in (first, last))
    return name, {"from": begin, "to": end} | ({"country": "Chad"} if choose.random() < 0.3 else {})


def versions(taken: list[Taken]) -> int:
    return len({answer["version"] for _, _, answer in taken})


def check(lake: Path, answers: list[Taken]) -> None:
    """Figures of each answer are those of the reports in the files of its version; a file is read once."""
    versions = sorted({answer["version"] for _, _, answer in answers})
    files = {version: files_of(lake, version) for version in versions}
    every = sorted({file for found in files.values() for file in found})
    columns = f"filename, {AT} AS event_hour, country, alert, battery, citizens"
    with duckdb.connect() as db:
        parquet = "read_parquet($every, hive_partitioning = false, filename = true)"
        db.execute(f"CREATE TABLE landed AS SELECT {columns} FROM {parquet}", {"every": every})
        for name, query, answer in answers:
            ask = partial(figures, db, files[answer["version"]], query)
            assert CHECKS[name](ask, answer), (name, query, answer)


def files_of(lake: Path, version: int) -> list[str]:
    """None of version -1: on a busy machine the first answers come before the first live document."""
    return DeltaTable(lake / "reports", version=version).file_uris() if version >= 0 else []


def figures(db: duckdb.DuckDBPyConnection, files: list[str], query: dict[str, str], key: str) -> list[tuple[Any, ...]]:
    """(key, *MEASURES) of the query's reports in `files`."""
    start, end = (epoch_hour(query[side]) for side in ("from", "to"))
    end += 1 if "T" in query["to"] else 24
    sql = f"SELECT {key}, {MEASURES} FROM landed SEMI JOIN (SELECT unnest($files) AS filename) USING (filename) "
    sql += "WHERE event_hour >= $start AND event_hour < $end AND ($country = '' OR country = $country)"
    found = {"files": files, "start": start, "end": end, "country": query.get("country", "")}
    return db.execute(f"{sql} GROUP BY 1 ORDER BY 1", found).fetchall()


def epoch_hour(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 3600


def of_averages(ask: Any, answer: dict[str, Any]) -> bool:
    (_, reports, _, battery, citizens, scores, _) = (ask("1") or [(1, 0, 0, 0, 0, 0, 0)])[0]
    means = (battery / (1000 * reports) if reports else None, scores / citizens if citizens else None)
    return (answer["reports"], answer["battery"], answer["peace_score"]) == (reports, *means)


def of_countries(ask: Any, answer: dict[str, Any]) -> bool:
    rows = sorted(((row[0], row[2], row[1]) for row in ask("country")), key=lambda row: (-row[1], row[0]))
    return [(row["country"], row["alerts"], row["reports"]) for row in answer["countries"]] == rows


def of_parts(ask: Any, answer: dict[str, Any]) -> bool:
    alerts = {row[0]: row[2] for row in ask("event_hour % 24")}
    return bool(answer["hours"] == [alerts.get(hour, 0) for hour in range(24)])


def of_scores(ask: Any, answer: dict[str, Any]) -> bool:
    rows = ask("coalesce(list_min(list_transform(citizens, lambda c: c.peace_score)), 0)")
    found = {row[0]: (row[1], row[2]) for row in rows}
    got = {row["peace_score"]: (row["reports"], row["alerts"]) for row in answer["scores"]}
    return got == {score: found.get(score, (0, 0)) for score in range(1, 11)}


def of_low_battery(ask: Any, answer: dict[str, Any]) -> bool:
    (_, reports, *_, low) = (ask("1") or [(1, 0, 0, 0, 0, 0, 0)])[0]
    return (answer["reports"]["low"], answer["reports"]["total"]) == (low, reports)


def of_series(ask: Any, answer: dict[str, Any]) -> bool:
    found = {row[0]: (row[1], row[2]) for row in ask("event_hour // 24")}
    got = {epoch_hour(row["start"]) // 24: (row["reports"], row["alerts"]) for row in answer["series"]}
    got = {day: figures for day, figures in got.items() if figures != (0, 0)}
    return got == found


CHECKS = dict(zip(RANGES, (of_averages, of_countries, of_parts, of_scores, of_low_battery, of_series), strict=True))
