"""Whether what the API serves equals what DuckDB computes over the lake's Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import duckdb
import httpx
from deltalake import DeltaTable

CLOSE: Final = 1e-9
"""Averages of doubles, added in another order."""


def differences(page: str, lake: str, storage: Mapping[str, str]) -> list[str]:
    """Sentences; none when all are equal. Call it when nothing lands any more."""
    rows = DeltaTable(f"{lake}/reports", storage_options=dict(storage) or None).to_pyarrow_table(
        columns=["reported_at", "battery", "citizens", "alert", "country"]
    )
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("reports", rows)
        ((first, last),) = database.sql(
            "SELECT min(reported_at)::date::text, max(reported_at)::date::text FROM reports"
        ).fetchall()
        expected = _expected(database)
    asked = {"from": first, "to": last}
    wrong = []
    for (statistic, key), value in expected.items():
        answer = httpx.get(f"{page}/api/v1/statistics/{statistic}", params=asked, timeout=120).raise_for_status().json()
        if not _same(answer[key], value):
            wrong.append(f"served {statistic}: {key} is {answer[key]}, and {value} when recomputed")
    return wrong


def _expected(database: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], Any]:
    ((reports, battery, score),) = database.sql(
        "SELECT count(*), avg(battery), (SELECT avg(c.peace_score) FROM (SELECT unnest(citizens) AS c FROM reports))"
        " FROM reports"
    ).fetchall()
    hours = dict(database.sql("SELECT hour(reported_at), count(*) FROM reports WHERE alert GROUP BY 1").fetchall())
    countries = database.sql(
        "SELECT country, count(*) FILTER (alert) AS alerts, count(*) AS reports FROM reports"
        " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5"
    ).fetchall()
    return {
        ("averages", "reports"): reports,
        ("averages", "battery"): battery,
        ("averages", "peace_score"): score,
        ("alerts-by-part-of-day", "hours"): [hours.get(hour, 0) for hour in range(24)],
        ("alerts-by-country", "countries"): [
            {"country": country, "alerts": alerts, "reports": reports} for country, alerts, reports in countries
        ],
    }


def _same(answer: Any, value: Any) -> bool:
    if isinstance(value, float):
        return isinstance(answer, float) and abs(answer - value) <= CLOSE * abs(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [{key: row.get(key) for key in wanted} for row, wanted in zip(answer, value, strict=False)] == value
    return bool(answer == value)
