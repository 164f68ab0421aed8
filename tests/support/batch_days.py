"""What tests of the completeness of days share: commits with facts of landing, and a day's document."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from batch_layer.completeness import completeness
from batch_layer.job import Job
from batch_layer.views import drones, hours
from tests.support import lakes

DAY = datetime(2026, 11, 24, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)


def ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def through(*times: datetime) -> str:
    return json.dumps({f"topic/{number}": ms(time) for number, time in enumerate(times)})


def land(job: Job, rows: list[dict[str, Any]], **facts: Any) -> None:
    lakes.land(Path(job.lake), rows, {f"peacewatch.{name}": value for name, value in facts.items()})


def document(
    job: Job, day: str = "2026-11-24", failpoint: Callable[[str], None] = lambda _step: None
) -> dict[str, Any]:
    """The document of a day after a run."""
    completeness.run(job, failpoint)
    found = job.database.completeness.find_one({"_id": day})
    assert found is not None
    return found


def compute(job: Job) -> None:
    hours.run(job)
    drones.run(job)


def compute_all(job: Job) -> None:
    """As the batch layer does it each night."""
    compute(job)
    completeness.run(job)
