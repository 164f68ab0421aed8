"""All looks of `peacewatch doctor`, in the order in which data flows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cli.doctor import jobs, kafka, stores
from cli.doctor.finding import Finding, unknown
from infra.settings import PREFIX, Settings

Look = Callable[[Settings], Iterator[Finding]]


def _kafka(settings: Settings) -> Iterator[Finding]:
    return kafka.look(settings.kafka, kafka.REPLICAS if settings.kafka_bootstrap else 1)


def _mongo(settings: Settings) -> Iterator[Finding]:
    return stores.look_at_mongo(settings.mongo)


def _lake(settings: Settings) -> Iterator[Finding]:
    yield from stores.look_at_lake(settings.lake_location)
    if settings.home.exists():
        yield stores.room("home", settings.home)


def _spark(settings: Settings) -> Iterator[Finding]:
    return jobs.look_at_spark(settings.spark_master)


def _airflow(settings: Settings) -> Iterator[Finding]:
    from laptop.services import catalogue  # noqa: PLC0415 - where this machine's Airflow is

    there = catalogue.airflow_of(settings)
    if settings.airflow_database is None and not (settings.home / "airflow" / "airflow.db").exists():
        yield unknown(jobs.AIRFLOW, "database", "no Airflow of this home: ask on its own machine")
        return
    yield from jobs.look_at_airflow(there.environment())


def _discord(settings: Settings) -> Iterator[Finding]:
    name = f"{PREFIX}{{}}_WEBHOOK_URL".format
    webhooks = {name("DISCORD"): settings.webhook, name("OPERATORS"): settings.operators_webhook}
    if settings.severe_webhook_url is not None:
        webhooks[name("SEVERE")] = settings.severe_webhook_url.get_secret_value()
    if settings.reports_webhook_url is not None:
        webhooks[name("REPORTS")] = settings.reports_webhook_url.get_secret_value()
    from cli.doctor import discord  # noqa: PLC0415 - httpx is the alerts' and the server's

    yield from discord.look(webhooks)


def _look(look: Look, settings: Settings) -> Iterator[Finding]:
    try:
        yield from look(settings)
    except ModuleNotFoundError as error:  # a machine has the packages of its role alone
        yield unknown(
            look.__name__.removeprefix("_"), "package", f"{error.name} is not installed here: ask on another machine"
        )


LOOKS: Final[tuple[Look, ...]] = (_kafka, _mongo, _lake, _spark, _airflow, _discord)


def run(settings: Settings, progress: Callable[[str], None] = lambda _what: None) -> list[Finding]:
    """All findings. `progress` gets what is checked now, since a service that is away takes seconds to time out."""
    findings: list[Finding] = []
    for look in LOOKS:
        progress(look.__name__.removeprefix("_"))
        findings += _look(look, settings)
    return findings
