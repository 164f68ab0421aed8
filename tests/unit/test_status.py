"""What the health page says: percentiles of the way to Discord, by nearest rank, and how far reports are landed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from serving.status import landing, rank

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "part", "expected"),
    [(0, 0.5, None), (1, 0.5, 1), (1, 0.99, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.99, 99), (101, 0.99, 100), (4, 1, 4)],
)
def test_rank(count: int, part: float, expected: int | None) -> None:
    assert rank(range(1, count + 1), part) == expected


def test_partitions_of_a_topic_that_was_created_again_are_waited_for_no_more() -> None:
    documents: list[dict[str, Any]] = [
        {"_id": "old/0", "next_offset": 9, "landed_through": NOON - timedelta(days=1), "lost": [[0, 3]]},
        {"_id": "new/0", "next_offset": 2, "landed_through": NOON},
        {"_id": "new/1", "next_offset": 1, "landed_through": NOON - timedelta(seconds=5), "lost": [[0, 1]]},
    ]
    live = SimpleNamespace(find_one=lambda *_asked, **_more: None)
    refused = {"_id": "live documents", "reason": "version 7: too large", "at": NOON}
    cursor = SimpleNamespace(sort=lambda *_: SimpleNamespace(limit=lambda _many: [refused]))
    database: Any = SimpleNamespace(
        live=live,
        landing=SimpleNamespace(find=lambda _all: documents),
        landing_problems=SimpleNamespace(find=lambda: cursor),
    )
    found = landing(database, NOON)
    assert found["problems"] == [{"what": "live documents", "reason": "version 7: too large", "at": NOON}]
    assert [one["name"] for one in found["partitions"]] == ["0", "1"]
    assert (found["lag_seconds"], found["lost"]) == (5.0, 4)
    documents[1]["landed_through"] = documents[2]["landed_through"] = None  # it has just been made
    documents[0]["landed_through"] = None
    assert landing(database, NOON)["landed_through"] is None
