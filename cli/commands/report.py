"""Commands: the nightly report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from infra.settings import MOST_DAYS

if TYPE_CHECKING:
    from serving.report.build import OfficersDay
    from serving.report.nightly import ReportDesk

ANSWER_SECONDS = 120
"""For MongoDB to count the eight million alerts of a day at mission scale. Less than the lock lasts
(serving/report/lock.py)."""

Day = Annotated[
    str | None, typer.Option("--day", metavar="DATE", help="the officers' day, such as 2026-11-24; default: yesterday")
]
Late = Annotated[bool, typer.Option("--late", help="also days that late reports have changed, complete or not")]
Window = Annotated[
    int,
    typer.Option("--days", min=1, max=MOST_DAYS, help="how many days to look back; incomplete days are always checked"),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="keep `revise` from posting this report later")]
Deadline = Annotated[float, typer.Option("--minutes", min=0, max=MOST_DAYS * 1440, help="how long to wait at most")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    report = typer.Typer(help="Wait for, build, publish, revise and list nightly reports.", no_args_is_help=True)
    for command in (wait, build, publish, revise, show):
        report.command(name="list" if command is show else command.__name__)(command)
    app.add_typer(report, name="report")


def wait(day: Day = None, minutes: Deadline = 120) -> None:
    """Wait until nothing more is expected for the day, or until the deadline passes."""
    from serving.report import nightly

    with _desk() as (desk, zone):
        officers_day = _officers_day(day, zone)
        settled = nightly.wait(desk, officers_day, timedelta(minutes=minutes))
    day = str(officers_day.day)
    typer.echo(f"{day} has settled" if settled else f"{day} has not settled; its report will say so")


def build(day: Day = None, quiet: Quiet = False) -> None:
    """Build the day's report as HTML, PDF, picture and JSON, in the lake's folder. An unchanged report is kept."""
    from serving.report import nightly

    with _desk() as (desk, zone):
        revision, new = nightly.build(desk, _officers_day(day, zone), quiet=quiet)
    what = f"revision {revision.number}" if revision.number else "first report"
    typer.echo(f"{revision.day}: {what} built" if new else f"{revision.day}: nothing changed since {what}")


def publish(day: Day = None) -> None:
    """Post the summary of the day's newest report to Discord, with its first chart and the link."""
    from fleet.errors import BadInput
    from infra import settings
    from serving.report import nightly

    with _desk() as (desk, zone):
        officers_day = _officers_day(day, zone)
        revision = desk.store.newest(officers_day.day)
        if revision is None:
            raise BadInput(
                "--day", f"there is no report of {officers_day.day} yet; build it with: peacewatch report build"
            )
        message = nightly.publish(desk, revision, settings.load().reports_webhook)
    typer.echo(f"{revision.day}: posted to Discord, message {message}")


def revise(late: Late = False, days: Window = 31) -> None:
    """Rebuild and publish reports whose day has become complete, and say what changed."""
    from infra import settings
    from serving.report import nightly

    with _desk() as (desk, _zone):
        revised = nightly.revise(desk, settings.load().reports_webhook, timedelta(days=days), late=late)
    for revision in revised:
        typer.echo(f"{revision.day}: revision {revision.number} built and posted to Discord")
    if not revised:
        typer.echo("no report needs rebuilding")


def show() -> None:
    """List the nightly reports."""
    from fleet.errors import NewerLayout
    from serving.report.store import DamagedReport

    with _desk() as (desk, _zone):
        for revision in desk.store.days():
            try:
                state: str = desk.store.facts(revision).state
            except DamagedReport:
                state = "damaged"
            except NewerLayout:
                state = "of a newer version"
            typer.echo(f"{revision.day}  revision {revision.number}  {state}")


@contextmanager
def _desk() -> Iterator[tuple[ReportDesk, str]]:
    from pymongo.errors import PyMongoError

    from fleet.errors import ServiceUnavailable
    from infra import logs, settings
    from infra.redaction import redact
    from serving.config import Config
    from serving.report.nightly import ReportDesk
    from serving.report.store import ReportStore
    from serving.services import connect

    logs.configure("report")
    loaded = settings.load()
    services = connect(Config(mongo_uri=loaded.mongo, max_age=0), ANSWER_SECONDS)
    try:
        yield ReportDesk(services, ReportStore(loaded.lake_location), loaded.web_url), loaded.timezone
    except PyMongoError as error:
        raise ServiceUnavailable(redact(f"MongoDB does not answer: {type(error).__name__}")) from None
    finally:
        services.close()


def _officers_day(day: str | None, zone: str) -> OfficersDay:
    from fleet.errors import BadInput
    from fleet.reports.report import EARLIEST
    from serving.figures import ranges
    from serving.report.build import OfficersDay

    if day is None:
        return OfficersDay(datetime.now(UTC).astimezone(ranges.zone_of(zone)).date() - timedelta(days=1), zone)
    try:
        chosen = date.fromisoformat(day)
    except ValueError:
        raise BadInput("--day", f"{day!r} is not a date; give one such as 2026-11-24") from None
    today = datetime.now(UTC).astimezone(ranges.zone_of(zone)).date()
    if chosen > today:
        raise BadInput("--day", f"{chosen} is in the future; today is {today} in {zone}")
    if chosen < EARLIEST.date():
        raise BadInput("--day", f"{chosen} is before {EARLIEST.date()}, the earliest day of a report")
    return OfficersDay(chosen, zone)
