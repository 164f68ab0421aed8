"""Landing on a real Kafka, a real MongoDB and a real Delta table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pymongo.database import Database

from fleet import topics
from fleet.cube import HOURS
from tests.landing import (
    check_exactly_once,
    config,
    landed,
    messages,
    report,
    running,
    send,
    unlanded,
    wait_for,
)

Topic = Callable[..., str]


@pytest.fixture
def rejected(topic: Topic) -> str:
    return topic(topics.REJECTED, 1)


def test_every_report_lands_once_and_is_seen_live(
    kafka: str, topic: Topic, rejected: str, mongo_uri: str, mongo_database: Database[Any], tmp_path: Path
) -> None:
    reports = topic()
    landing = config(kafka, reports, rejected, tmp_path, mongo_uri)
    with running(landing):
        send(kafka, reports, (report(n) for n in range(3000)))
        send(kafka, reports, [b"no json", None, b'{"report_id": 1}'])
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    with running(landing):  # a second process goes on where the table is; copies are known
        send(kafka, reports, [*(report(n) for n in range(100)), *(report(n) for n in range(3000, 3100))])
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    assert len(landed(tmp_path, "report_id")) == 3100
    assert [dict(record.headers)["reason"] for record in messages(kafka, rejected)] == [
        b"not json",
        b"empty",
        b"not a report",
    ]
    check_exactly_once(kafka, reports, rejected, tmp_path)
    table = DeltaTable(tmp_path / "reports")
    live = list(mongo_database["live"].find(sort=[("_id", 1)]))
    assert [one["_id"] for one in live] == list(range(table.version() + 1))
    told = HOURS.merge(HOURS.from_document(one["cells"]) for one in live)
    assert told.equals(HOURS.fold(table.to_pyarrow_table()))
