"""The processes of the alert pipeline, wired by the settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from threading import Event

from pydantic import SecretStr

from cli.wiring.incidents import intervals
from cli.wiring.places import nearest
from fleet import topics
from fleet.alerts.alert import Alert
from fleet.alerts.rulebook import parse, parse_stations
from fleet.alerts.rules import Rules
from fleet.errors import BadSettings
from infra import settings
from infra.settings import Settings
from speed_layer import alerting, dead_mans_switch
from speed_layer import recording as recorder
from speed_layer.alerting import alerter as layer
from speed_layer.notifying import notifier
from speed_layer.notifying.sender import Sender

Runner = Callable[[Event], None]


def rules(loaded: Settings) -> Rules:
    """The rules in force. Raises BadSettings: file, line, what is wrong."""
    shipped = resources.files(alerting)
    rule_file, stations = loaded.rules or shipped / "rules.toml", loaded.stations or shipped / "stations.csv"
    return parse(_read(rule_file), str(rule_file), parse_stations(_read(stations), str(stations)))


def alerter(loaded: Settings) -> Runner:
    """The runner that judges every report and raises alerts. Raises BadSettings for wrong rules."""
    return partial(layer.run, layer.AlertingConfig(loaded.kafka, rules(loaded), nearest))


def channels(loaded: Settings, failpoint: Callable[[str], None] = lambda _step: None) -> list[Runner]:
    """A notifier for each webhook. If severe alerts have their own webhook, the other one gets the rest."""
    if loaded.severe_webhook_url is None:
        return [_channel(loaded, "alerts", "webhook", lambda _alert: True, failpoint)]
    return [
        _channel(loaded, "severe", "severe_webhook_url", lambda alert: alert.severity == "critical", failpoint),
        _channel(loaded, "alerts", "webhook", lambda alert: alert.severity != "critical", failpoint),
    ]


def recorders(loaded: Settings) -> list[Runner]:
    """The recorder of alerts in MongoDB, and the dead-man's switch that watches the alert pipeline."""
    watch = dead_mans_switch.WatchConfig(loaded.kafka, url_now(loaded, "operators_webhook"))
    recording = recorder.RecorderConfig(
        loaded.kafka,
        loaded.mongo,
        intervals(loaded),
        actions=topics.OPERATOR_ACTIONS,
        state=topics.ALERT_STATE,
    )
    return [partial(recorder.run, recording), partial(dead_mans_switch.watch, watch)]


def run_together(runners: list[Runner], stop: Event) -> None:
    """Runs each in a thread until `stop`. When one fails, the others end, too, and its error is raised."""
    with ThreadPoolExecutor(len(runners)) as pool:
        running = [pool.submit(runner, stop) for runner in runners]
        wait(running, return_when=FIRST_COMPLETED)
        stop.set()
    for future in running:
        future.result()


def url_now(loaded: Settings, setting: str) -> Callable[[], str | None]:
    """Reads the URL at each call: its file may hold a new one after the old one was deleted."""

    def of(present: Settings) -> str | None:
        value = getattr(present, setting)
        return value.get_secret_value() if isinstance(value, SecretStr) else value

    def now() -> str | None:
        try:
            return of(settings.load())
        except BadSettings:
            return of(loaded)

    return now


def _channel(
    loaded: Settings, name: str, setting: str, takes: Callable[[Alert], bool], failpoint: Callable[[str], None]
) -> Runner:
    config = notifier.NotifierConfig(loaded.kafka, intervals(loaded), name, takes=takes, failpoint=failpoint)

    def sender() -> Sender:
        url = url_now(loaded, setting)
        return Sender(lambda: url() or "", loaded.web_url, time.monotonic)

    return lambda stop: notifier.run(config, sender, stop)


def _read(file: Path | Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} cannot be read: {error}") from None
