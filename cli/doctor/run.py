"""All checks of `peacewatch doctor`, in the order in which data flows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cli.doctor import jobs, kafka, stores
from cli.doctor.finding import Finding, unknown
from infra.settings import PREFIX, Settings

Check = Callable[[Settings], Iterator[Finding]]


def _kafka(settings: Settings) -> Iterator[Finding]:
    return kafka.check(settings.kafka, kafka.REPLICAS if settings.kafka_bootstrap else 1)


def _mongo(settings: Settings) -> Iterator[Finding]:
    return stores.check_mongo(settings.mongo)


def _lake(settings: Settings) -> Iterator[Finding]:
    yield from stores.check_lake(settings.lake_location)
    if settings.home.exists():
        yield stores.free_space("home", settings.home)


def _spark(settings: Settings) -> Iterator[Finding]:
    return jobs.check_spark(settings.spark_master)


def _airflow(settings: Settings) -> Iterator[Finding]:
    from laptop.services import catalogue  # noqa: PLC0415 - where this machine's Airflow is

    local = catalogue.airflow_of(settings)
    if settings.airflow_database is None and not (settings.home / "airflow" / "airflow.db").exists():
        yield unknown(jobs.AIRFLOW, "database", "there is no Airflow in this home: run doctor on its own machine")
        return
    yield from jobs.check_airflow(local.environment())


def _discord(settings: Settings) -> Iterator[Finding]:
    name = f"{PREFIX}{{}}_WEBHOOK_URL".format
    webhooks = {name("DISCORD"): settings.webhook, name("OPERATORS"): settings.operators_webhook}
    if settings.severe_webhook_url is not None:
        webhooks[name("SEVERE")] = settings.severe_webhook_url.get_secret_value()
    if settings.reports_webhook_url is not None:
        webhooks[name("REPORTS")] = settings.reports_webhook_url.get_secret_value()
    from cli.doctor import discord  # noqa: PLC0415 - httpx, which only some roles install

    yield from discord.check(webhooks)


def _run(check: Check, settings: Settings) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except ModuleNotFoundError as error:  # a machine has only the packages of its role
        said = f"{error.name} is not installed here: run doctor on another machine"
        yield unknown(check.__name__.removeprefix("_"), "package", said)


CHECKS: Final[tuple[Check, ...]] = (_kafka, _mongo, _lake, _spark, _airflow, _discord)


def run(settings: Settings, progress: Callable[[str], None] = lambda _what: None) -> list[Finding]:
    """All findings. `progress` gets the name of the check, since a service that is away takes seconds to time out."""
    findings: list[Finding] = []
    for check in CHECKS:
        progress(check.__name__.removeprefix("_"))
        findings += _run(check, settings)
    return findings
