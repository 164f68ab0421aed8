"""Every night: the officers' report of the day that has ended."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from common import AFTER_SKIPPED, BACKFILL, DEFAULTS, REPORT, REPORTS_POOL, VIEWS, late_after, peacewatch

DOC = """\
### Nightly report

Waits until all reports of the day have landed and been counted (two hours at most). Builds the day's report next to the
lake (HTML, PDF, JSON) and posts its summary to Discord. The day is the officers' day, by `PEACEWATCH_TIMEZONE`. Then it
checks the reports of the last 31 days, and rebuilds those that late reports have changed.

- **By hand**: press *Trigger* and choose a day, or none for yesterday. In a terminal: `peacewatch report wait`, `build`
  and `publish`, each with `--day 2026-11-24`, and `peacewatch report revise --late`.
- **An incomplete day**: the report says so in its first line. `hourly_views` rebuilds it when the rest has landed. A
  revision says what has changed; without a change there is no revision.
- **Days of an outage, or a month**: press *Trigger*, choose *Backfill*, and the first and the last day at 00:00. If the
  officers' day is not UTC's, first set the clock at the lower left to their zone. In a terminal: `peacewatch airflow
  backfill create`. A backfill waits for nothing and posts nothing, because a month would be thirty messages at once.
  Its reports are on the page; *Post to Discord: always* posts them, too.
- **When it fails**: the end of the task's log says why. The earlier report stays.
"""

OFFICERS = ZoneInfo(os.environ.get("PEACEWATCH_TIMEZONE") or "UTC")

# A run by hand has no data interval. Its day is the chosen one, else the command's default: yesterday.
DAY = (
    f"{{% if params.day and not {BACKFILL} %}}--day {{{{ params.day }}}}"
    "{% elif data_interval_start %}--day {{ data_interval_start.in_timezone(dag.timezone) | ds }}{% endif %}"
)
NOT_POSTED = f"params.discord == 'never' or (params.discord == 'auto' and {BACKFILL})"
QUIET = f"{{% if {NOT_POSTED} %}} --quiet{{% endif %}}"

with DAG(
    dag_id="nightly_report",
    description="The officers' report of the day, each morning",
    doc_md=DOC,
    # The data interval is the officers' day, from midnight to midnight where they are.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone=str(OFFICERS)),
    start_date=datetime(2026, 1, 1, tzinfo=OFFICERS),  # its zone is the DAG's, which names the day
    catchup=False,  # a new installation has no past days; those of an outage are a backfill, from the UI
    max_active_runs=1,  # reports appear in the order of their days
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
            description="the officers' day; default: the run's day, or yesterday when started by hand",
        ),
        "discord": Param(
            "auto",
            type="string",
            enum=["auto", "always", "never"],
            values_display={"auto": "except in a backfill", "always": "always", "never": "never"},
            title="Post to Discord",
            description="whether to post the report's summary to the officers' channel",
        ),
    },
) as dag:
    # The days of a backfill are over, so there is nothing to wait for.
    wait = peacewatch(
        "wait",
        f"report wait {DAY}",
        skip_if=BACKFILL,
        task_display_name="Wait for the day",
        inlets=[VIEWS],
        execution_timeout=timedelta(hours=2, minutes=30),
        max_active_tis_per_dag=None,  # it only reads, and a backfill shall not wait for tonight
    )
    build = peacewatch(
        "build",
        f"report build {DAY}{QUIET}",
        task_display_name="Build the report",
        trigger_rule=AFTER_SKIPPED,
        inlets=[VIEWS],
        outlets=[REPORT],
        pool=REPORTS_POOL,
    )
    # A message that is posted twice is read twice, so the command is retried, but not for an hour.
    publish = peacewatch(
        "publish",
        f"report publish {DAY}",
        skip_if=NOT_POSTED,
        task_display_name="Post to Discord",
        inlets=[REPORT],
        retries=2,
        pool=REPORTS_POOL,
    )
    # In a backfill every run would check the same 31 days.
    revise = peacewatch(
        "revise",
        "report revise --late",
        skip_if=BACKFILL,
        task_display_name="Revise earlier days",
        trigger_rule=AFTER_SKIPPED,
        inlets=[VIEWS],
        outlets=[REPORT],
        pool=REPORTS_POOL,
    )
    wait >> build >> publish >> revise
