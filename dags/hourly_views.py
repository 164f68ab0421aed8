"""Every hour: recompute the hour documents of the API and the pages from the lake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable
from common import DEFAULTS, LAKE, REPORT, REPORTS_POOL, VIEWS, late_after, peacewatch, spark

DOC = """\
### Hourly views

Recomputes the hour documents of every hour in which reports have landed since the last complete run, however old the
hour: late reports are normal. So a run needs no range, and a missed run needs no catching up.

Then it merges the lake's small files: a commit every few seconds makes many, and a few large ones are faster to read.
It also rebuilds and publishes nightly reports whose day has become complete.

- **By hand**: press *Trigger*; there is nothing to choose. In a terminal: `peacewatch aggregate`, `peacewatch compact`,
  `peacewatch report revise`.
- **When it fails**: the end of the task's log says why, in one sentence. Readers keep the figures they have, and
  the next run does the work.
"""

with DAG(
    dag_id="hourly_views",
    description="Recomputes hour documents for the API and the pages from the lake",
    doc_md=DOC,
    # A data interval is the hour that has ended ("@hourly" would give intervals of no length).
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # one run computes all that is not computed yet
    max_active_runs=1,  # two would compute the same hours twice
    dagrun_timeout=timedelta(hours=3),
    deadline=late_after(timedelta(minutes=45)),
    tags=["peacewatch", "batch"],
    default_args=DEFAULTS,
) as dag:
    aggregate = spark(
        "aggregate",
        ["aggregate"],
        is_short=True,
        task_display_name="Compute the hours",
        inlets=[LAKE],
        outlets=[VIEWS],
    )
    compact = peacewatch("compact", "compact", task_display_name="Merge small files", inlets=[LAKE])
    revise = peacewatch(
        "revise",
        "report revise",
        task_display_name="Revise reports",
        inlets=[VIEWS],
        outlets=[REPORT],
        pool=REPORTS_POOL,
    )
    aggregate >> [compact, revise]
