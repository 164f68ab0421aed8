"""All six answers over the original data equal those of an oracle that shares no code with the product.

Where the original is not at hand, a file of the same shape takes its place.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from tests.support import oracle
from tests.support.original import ORIGINAL, ROWS, same
from tests.support.small_stack import SmallStack

pytestmark = pytest.mark.timeout(900)  # the first test's includes the stack: two starts, 24,000 reports, a Spark job
each_variant = pytest.mark.parametrize("variant", ["fleet", "drone", "shuffled"])


def variants(every: int) -> dict[str, Any]:
    """All rows in the order and by the clock of the original, and every so many-th by each drone's clock and shuffled.

    Each variant starts in a year of its own, so that one lake holds them all, and `from` and `to` part them.
    """
    rows = ROWS[::every]
    return {
        "fleet": (ROWS, oracle.start_of(2021), "fleet"),
        "drone": (rows, oracle.start_of(2022), "drone"),
        "shuffled": (random.Random(5).sample(rows, len(rows)), oracle.start_of(2023), "fleet"),
    }


@pytest.fixture(
    scope="module", params=[pytest.param(5, id="a fifth"), pytest.param(1, id="all", marks=pytest.mark.slow)]
)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A stack that was sent every variant; the first one twice, with a restart of everything in between."""
    home = tmp_path_factory.mktemp("original")
    stack: Any = SmallStack(home).start()
    stack.variants = variants(request.param)
    try:
        for name, (rows, start, clock) in stack.variants.items():
            path = home / f"{name}.csv"
            oracle.write(path, rows)
            replay = ["replay", path, "--start", start.isoformat(), "--clock", clock]
            assert f"{len(rows)} reports sent" in stack.run(*replay)
            if name == "fleet":
                assert stack.wait_landed() == len(rows)
                stack.stop()
                stack.start()
                assert f"{len(rows)} reports sent" in stack.run(*replay)
        stack.landed = stack.wait_landed()
        stack.live = {name: answers_of(stack, name) for name in stack.variants}
        stack.run("aggregate")
        yield stack
    finally:
        stack.stop()


def answers_of(stack: Any, variant: Any) -> Any:
    expected, (first, last) = oracle.answers(*stack.variants[variant])
    return {name: stack.ask(name, **{"from": first, "to": last}) for name in expected}


def alerts(rows: Any) -> int:
    return sum(row["Alert"] == "1" for row in rows)


def test_the_original_has_what_the_issue_says() -> None:
    assert len(ROWS) == 10_000
    assert not ORIGINAL.exists() or alerts(ROWS) == 873


def test_everything_landed_once_and_raised_its_alerts_once(stack: Any) -> None:
    sent = [rows for rows, _, _ in stack.variants.values()]
    assert stack.landed == sum(map(len, sent))
    assert stack.raised()["unrest"] == sum(map(alerts, sent))


@each_variant
def test_answers_of_batch_and_live_merged_are_the_oracles(stack: Any, variant: Any) -> None:
    expected, _ = oracle.answers(*stack.variants[variant])
    found = answers_of(stack, variant)
    assert {name for name in expected if not same(found[name], expected[name])} == set()
    assert found["low-battery"]["batch_version"] >= 0


@each_variant
def test_answers_before_any_batch_run_were_the_same_but_for_drones(stack: Any, variant: Any) -> None:
    expected, _ = oracle.answers(*stack.variants[variant])
    del expected["low-battery"]["drones"]  # by drone is a batch view
    assert {name for name in expected if not same(stack.live[variant][name], expected[name])} == set()


@pytest.mark.parametrize("name", ["alerts-by-country", "averages", "alerts-by-peace-score"])
def test_rows_in_another_order_give_the_same_countries_averages_and_scores(stack: Any, name: Any) -> None:
    _, start, clock = stack.variants["fleet"]
    in_order, _, _ = stack.variants["drone"]  # the same rows as the shuffled ones
    assert same(answers_of(stack, "shuffled")[name], oracle.answers(in_order, start, clock)[0][name])


@each_variant
def test_duckdb_reads_the_same_from_the_parquet_files(stack: Any, variant: Any) -> None:
    expected, (first, last) = oracle.answers(*stack.variants[variant])
    files = DeltaTable(str(stack.home / "lake" / "reports")).file_uris()
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute(
        "CREATE TABLE reports AS SELECT *, reported_at AT TIME ZONE 'UTC' AS moment,"
        " list_min(list_transform(citizens, lambda c: c.peace_score)) AS score"
        " FROM read_parquet(?) WHERE CAST(reported_at AT TIME ZONE 'UTC' AS DATE) BETWEEN ? AND ?",
        [files, first, last],
    )

    def ask(sql: Any) -> Any:
        return database.execute(sql).fetchall()

    hours = dict(ask("SELECT hour(moment), count(*) FROM reports WHERE alert GROUP BY 1"))
    assert [hours.get(hour, 0) for hour in range(24)] == expected["alerts-by-part-of-day"]["hours"]
    countries = ask(
        "SELECT country, count(*) FILTER (alert) AS alerts, count(*) FROM reports GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5"
    )
    assert countries == [tuple(row.values()) for row in expected["alerts-by-country"]["countries"]]
    ((reports, battery, peace_score),) = ask(
        "SELECT count(*), avg(battery), (SELECT avg(c.peace_score) FROM (SELECT unnest(citizens) AS c FROM reports))"
        " FROM reports"
    )
    assert same({"reports": reports, "battery": battery, "peace_score": peace_score}, expected["averages"])
    weekdays = dict(ask("SELECT isodow(moment), count(*) FROM reports WHERE alert GROUP BY 1"))
    assert [weekdays.get(day, 0) for day in range(1, 8)] == [
        row["alerts"] for row in expected["alerts-by-weekday"]["weekdays"]
    ]
    low = ask("SELECT count(*) FILTER (battery < 20), count(*) FROM reports")
    low += ask(
        "SELECT count(*) FILTER (last < 20), count(*)"
        " FROM (SELECT arg_max(battery, reported_at) AS last FROM reports GROUP BY drone_id)"
    )
    assert low == [
        tuple(expected["low-battery"][name][key] for key in ("low", "total")) for name in ("reports", "drones")
    ]
    scores = ask("SELECT score, count(*), count(*) FILTER (alert) FROM reports GROUP BY 1 ORDER BY 1")
    assert scores == [tuple(row.values()) for row in expected["alerts-by-peace-score"]["scores"]]
