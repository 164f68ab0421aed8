"""Every night: compact the lake, seal old days, and delete files and log that no reader needs any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from common import DEFAULTS, LAKE, SPARK_POOL, late_after, peacewatch

DOC = """\
### Lake maintenance

Merges the remaining small files. Seals the days that are older than `PEACEWATCH_RETENTION_DAYS`, if that is set: their
raw reports are removed from the lake, their figures stay. Then it deletes data files and log files that no reader needs
any more. Files of a version that is still served are never deleted.

- **By hand**: press *Trigger*. In a terminal: `peacewatch compact`, `seal`, `vacuum` and `trim-log`; with `--dry-run`
  each only prints what it would do.
- **When it fails**: nothing is broken; the lake only takes more space until the next run.
"""

with DAG(
    dag_id="lake_maintenance",
    description="Merges small files, seals old days, deletes files that nobody needs",
    doc_md=DOC,
    schedule=CronDataIntervalTimetable("20 3 * * *", timezone="UTC"),  # 20 minutes after an hourly run, at a quiet time
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # the next night does what one night leaves
    max_active_runs=1,  # two would delete the same files
    dagrun_timeout=timedelta(hours=6),
    deadline=late_after(timedelta(hours=3)),
    tags=["peacewatch", "lake"],
    default_args={**DEFAULTS, "execution_timeout": timedelta(hours=2)},
) as dag:
    compact = peacewatch("compact", "compact", task_display_name="Merge small files", inlets=[LAKE])
    seal = peacewatch(
        "seal", "seal", task_display_name="Seal old days", inlets=[LAKE], pool=SPARK_POOL
    )  # it may have late reports to compute first
    vacuum = peacewatch("vacuum", "vacuum", task_display_name="Delete old files", inlets=[LAKE])
    trim_log = peacewatch("trim_log", "trim-log", task_display_name="Trim the log", inlets=[LAKE])
    compact >> seal >> vacuum >> trim_log
