"""Every night: the report of the day that has ended, for the officers."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from house import DEFAULTS, REPORT, REPORTS_POOL, VIEWS, late_after, peacewatch

DOC = """\
### Nightly report

Waits until the day's reports are all landed and counted (two hours at most), makes its report beside the lake (HTML,
PDF, JSON), and posts its summary to Discord. The day is the officers' day, by `PEACEWATCH_TIMEZONE`. Then the reports
of the last 31 days are looked through: those that late reports have changed are made again.

- **By hand**: press *Trigger*, and choose a day, or none for yesterday. In a terminal: `peacewatch report wait`,
  `build` and `publish`, each with `--day 2026-11-24`, and `peacewatch report revise --late`.
- **An incomplete day** says so in its report's first line. `hourly_views` makes it again when the rest has landed. A
  revision says what has changed; where nothing has, nothing is made.
- **Days of an outage**: choose *Backfill* in the trigger's form, or `airflow backfill create` in a terminal.
- **When it fails**: the end of the task's log says why. The report that was there stays.
"""

# A run by hand has no data interval; its day is the one that was chosen, else the command's own: yesterday.
DAY = (
    "{% if params.day %}--day {{ params.day }}"
    "{% elif data_interval_start %}--day {{ data_interval_start.in_timezone(dag.timezone) | ds }}{% endif %}"
)

with DAG(
    dag_id="nightly_report",
    description="The day in figures: for officers, each morning",
    doc_md=DOC,
    # The data interval is the officers' day, from midnight to midnight where they are.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone=os.environ.get("PEACEWATCH_TIMEZONE", "UTC")),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # a new installation has no past days; those of an outage are a backfill, from the UI
    max_active_runs=1,  # a report compares its day with the day before
    dagrun_timeout=timedelta(hours=6),
    deadline=late_after(timedelta(hours=3)),
    tags=["peacewatch", "report"],
    default_args=DEFAULTS,
    params={
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day",
            description="the officers' day; without one: the run's day, or yesterday when started by hand",
        )
    },
) as dag:
    wait = peacewatch("wait", f"report wait {DAY}", inlets=[VIEWS], execution_timeout=timedelta(hours=2, minutes=30))
    build = peacewatch("build", f"report build {DAY}", inlets=[VIEWS], outlets=[REPORT], pool=REPORTS_POOL)
    # A message that is posted twice is read twice: the command is tried again, but not for an hour.
    publish = peacewatch("publish", f"report publish {DAY}", inlets=[REPORT], retries=2, pool=REPORTS_POOL)
    revise = peacewatch("revise", "report revise --late", inlets=[VIEWS], outlets=[REPORT], pool=REPORTS_POOL)
    wait >> build >> publish >> revise
