"""What the alerts' processes are made of, by the settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from threading import Event

from pydantic import SecretStr

from cli.wiring.places import nearest
from fleet import topics
from fleet.alerts.alert import Alert
from fleet.alerts.rulebook import parse, parse_stations
from fleet.alerts.rules import Rules
from fleet.errors import BadSettings
from fleet.notifications.incident import Intervals
from infra import settings
from infra.settings import Settings
from speed_layer import alerting, dead_mans_switch
from speed_layer import recording as recorder
from speed_layer.alerting import alerter as layer
from speed_layer.notifying import notifier
from speed_layer.notifying.sender import Sender

Runner = Callable[[Event], None]


def rules(found: Settings) -> Rules:
    """The rules in force. Raises BadSettings: file, line, what is wrong."""
    shipped = resources.files(alerting)
    book, stations = found.rules or shipped / "rules.toml", found.stations or shipped / "stations.csv"
    return parse(_read(book), str(book), parse_stations(_read(stations), str(stations)))


def alerter(found: Settings) -> Runner:
    """What judges every report and raises alerts. Raises BadSettings for wrong rules."""
    return partial(layer.run, layer.AlertingConfig(found.kafka, rules(found), nearest))


def channels(found: Settings, failpoint: Callable[[str], None] = lambda _step: None) -> list[Runner]:
    """A notifier for each webhook: with one for the severe alerts, the other takes the rest."""
    if found.severe_webhook_url is None:
        return [_channel(found, "alerts", "webhook", lambda _alert: True, failpoint)]
    return [
        _channel(found, "severe", "severe_webhook_url", lambda alert: alert.severity == "critical", failpoint),
        _channel(found, "alerts", "webhook", lambda alert: alert.severity != "critical", failpoint),
    ]


def recorders(found: Settings) -> list[Runner]:
    """What keeps MongoDB's alerts, and the dead-man's switch of the alert pipeline, which both are no part of."""
    watch = dead_mans_switch.WatchConfig(found.kafka, url_now(found, "operators_webhook"))
    recording = recorder.RecorderConfig(
        found.kafka,
        found.mongo,
        intervals=_intervals(found),
        actions=topics.OPERATOR_ACTIONS,
        state=topics.ALERT_STATE,
    )
    return [partial(recorder.run, recording), partial(dead_mans_switch.watch, watch)]


def run_together(runners: list[Runner], stop: Event) -> None:
    """Runs each in a thread until `stop`; when one fails the others end, too, and its error is raised."""
    with ThreadPoolExecutor(len(runners)) as pool:
        # the log's context goes along: it names the process in every line
        running = [pool.submit(copy_context().run, runner, stop) for runner in runners]
        wait(running, return_when=FIRST_COMPLETED)
        stop.set()
    for one in running:
        one.result()


def url_now(found: Settings, setting: str) -> Callable[[], str | None]:
    """The URL as it is now: the file that holds it may hold another by the time the old one is dead."""

    def of(present: Settings) -> str | None:
        value = getattr(present, setting)
        return value.get_secret_value() if isinstance(value, SecretStr) else value

    def now() -> str | None:
        try:
            return of(settings.load())
        except BadSettings:
            return of(found)

    return now


def _channel(
    found: Settings, name: str, setting: str, takes: Callable[[Alert], bool], failpoint: Callable[[str], None]
) -> Runner:
    config = notifier.NotifierConfig(found.kafka, name, intervals=_intervals(found), takes=takes, failpoint=failpoint)

    def sender() -> Sender:
        url = url_now(found, setting)
        return Sender(lambda: url() or "", found.web_url, time.monotonic)

    return lambda stop: notifier.run(config, sender, stop)


def _intervals(found: Settings) -> Intervals:
    return Intervals(
        update=timedelta(seconds=found.incident_update_seconds),
        quiet=timedelta(seconds=found.incident_quiet_seconds),
        resolve=timedelta(seconds=found.incident_resolve_seconds),
        repeat=timedelta(seconds=found.incident_repeat_seconds),
    )


def _read(file: Path | Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} cannot be read: {error}") from None
