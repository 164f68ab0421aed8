"""Every night: the lake's files that no reader needs any more are deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from house import DEFAULTS, LAKE, late_after, peacewatch

DOC = """\
### Lake maintenance

Joins what is left of small files, then deletes files that were joined or replaced and that no reader needs any more.
No report is lost by it: what a version that is still served stands on is never deleted.

- **By hand**: press *Trigger*. In a terminal: `peacewatch compact`, then `peacewatch vacuum`; with `--dry-run` both
  only say what they would do.
- **When it fails**: nothing is broken, the lake only takes more room. The next night makes up for it.
"""

with DAG(
    dag_id="lake_maintenance",
    description="Small files joined, files that nobody needs deleted",
    doc_md=DOC,
    schedule=CronDataIntervalTimetable("20 3 * * *", timezone="UTC"),  # beside the hour's own run, in quiet hours
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # what one night leaves the next one takes
    max_active_runs=1,  # two would delete the same files
    dagrun_timeout=timedelta(hours=6),
    deadline=late_after(timedelta(hours=3)),
    tags=["peacewatch", "lake"],
    default_args={**DEFAULTS, "execution_timeout": timedelta(hours=2)},
) as dag:
    compact = peacewatch("compact", "compact", inlets=[LAKE])
    vacuum = peacewatch("vacuum", "vacuum", inlets=[LAKE])
    compact >> vacuum
