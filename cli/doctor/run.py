"""All checks of `peacewatch doctor`, in the order in which data flows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

from cli.doctor import jobs, kafka, stores, variables
from cli.doctor.finding import Finding, unknown, wrong
from fleet.errors import PeacewatchError
from fleet.text import escaped, sentence
from infra.redaction import redact
from infra.settings import PREFIX, Settings

CHECK_SECONDS: Final = 60.0
"""A check that takes longer is given up. Each request has a shorter time-out of its own, but a service, or a proxy in
front of it, can answer each one a byte at a time."""

AIRFLOW_SECONDS: Final = 2 * jobs.COMMAND_SECONDS + 10
DISCORD: Final = "Discord"


@dataclass(frozen=True)
class Check:
    """What asks one service. `ask` may raise anything, and may never return."""

    part: str
    ask: Callable[[Settings], Iterator[Finding]]
    seconds: float = CHECK_SECONDS


def _variables(_settings: Settings) -> Iterator[Finding]:
    return variables.check(os.environ)


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


CHECKS: Final = (
    Check(variables.PART, _variables),
    Check(kafka.PART, _kafka),
    Check(stores.MONGO, _mongo),
    Check(stores.LAKE, _lake),
    Check(jobs.SPARK, _spark),
    Check(jobs.AIRFLOW, _airflow, AIRFLOW_SECONDS),
    Check(DISCORD, _discord),
)


def run(
    settings: Settings,
    progress: Callable[[str], None] = lambda _part: None,
    checks: Sequence[Check] = CHECKS,
) -> list[Finding]:
    """All findings, without secrets. `progress` gets the service's name, since one that is away takes seconds."""
    findings: list[Finding] = []
    for check in checks:
        progress(check.part)
        findings += (replace(finding, said=escaped(redact(finding.said))) for finding in _findings(check, settings))
    return findings


def _findings(check: Check, settings: Settings) -> Iterator[Finding]:
    """Those of one check; what goes wrong with the check itself is a finding, too, and stops no other check."""
    found: SimpleQueue[Finding | None] = SimpleQueue()

    def ask() -> None:
        try:
            for finding in check.ask(settings):
                found.put(finding)
        except ModuleNotFoundError as error:  # a machine has only the packages of its role
            found.put(unknown(check.part, "package", f"{error.name} is not installed here: run it on another machine"))
        except PeacewatchError as error:
            found.put(wrong(check.part, "settings", str(error), "correct it: docs/settings.md lists all settings"))
        except Exception as error:  # noqa: BLE001 - a service may answer anything
            said = f"the check failed: {type(error).__name__}: {sentence(error)}"
            found.put(wrong(check.part, "check", said, "is it this service that answers there, and not another one?"))
        found.put(None)

    Thread(target=ask, name=f"check {check.part}", daemon=True).start()
    until = time.monotonic() + check.seconds
    while True:
        try:
            finding = found.get(timeout=max(until - time.monotonic(), 0))
        except Empty:
            said = f"no answer within {check.seconds:g} s"
            yield wrong(
                check.part, "check", said, "check the network and its proxy, and whether the service is overloaded"
            )
            return
        if finding is None:
            return
        yield finding
