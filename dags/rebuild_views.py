"""By hand: recompute the hour documents of a range of days from the lake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param
from common import DEFAULTS, LAKE, VIEWS, late_after, spark

DOC = """\
### Rebuild views

Recomputes all hour documents of a range of days, whether needed or not: after a fix in the code, or when figures are in
doubt. The result is the same whenever it runs. Readers keep the old figures of an hour until the new ones are stored.

- **By hand**: press *Trigger* and choose the first and the last day (UTC, both included).
  `peacewatch aggregate --rebuild --from 2026-11-01 --to 2026-11-30` in a terminal does the same.
- **When it fails**: start it again with the same days.
"""

with DAG(
    dag_id="rebuild_views",
    description="Recomputes all hour documents of chosen days",
    doc_md=DOC,
    schedule=None,  # by hand only
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # it has no schedule to catch up with
    max_active_runs=1,  # ranges may overlap
    dagrun_timeout=timedelta(hours=24),
    deadline=late_after(timedelta(hours=12)),
    tags=["peacewatch", "batch", "by hand"],
    default_args={**DEFAULTS, "execution_timeout": timedelta(hours=12), "retries": 1},  # somebody waits for it
    params={
        # No default: a default of today would make a new version of the DAG every day.
        "first": Param(type="string", format="date", title="First day", description="UTC"),
        "last": Param(type="string", format="date", title="Last day", description="UTC, included"),
    },
) as dag:
    spark(
        "aggregate",
        ["aggregate", "--rebuild", "--from", "{{ params.first }}", "--to", "{{ params.last }}"],
        task_display_name="Compute chosen days",
        inlets=[LAKE],
        outlets=[VIEWS],
    )
