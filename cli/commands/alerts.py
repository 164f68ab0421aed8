"""Commands: alerting, notify and record, the alerts' way from a report to people."""

from __future__ import annotations

import signal
import sys
from threading import Event
from typing import Final

import typer

from infra import gc_tuning, logs, settings

SWITCH_SECONDS: Final = 0.0005
"""How long a thread of ours keeps the interpreter from Kafka's own, which sends and receives. At Python's 5 ms an alert
waited for its sending while reports were judged: 8 of 32 ms from a report to its message (docs/measurements.md)."""


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command("alerting")(alerting)
    app.command("notify")(notify)
    app.command("record")(record)


def alerting() -> None:
    """Judges every report and raises alerts, until stopped."""
    logs.configure("alerting")
    sys.setswitchinterval(SWITCH_SECONDS)
    found = settings.load()
    stop = _stop_on_signal()

    from cli.wiring import alerts
    from speed_layer.alerting import alerter as layer

    gc_tuning.spare()
    layer.run(layer.AlertingConfig(found.kafka, alerts.rules(found), alerts.nearest), stop)


def notify() -> None:
    """Tells people of alerts in Discord, until stopped. One is active for a webhook; others stand by."""
    logs.configure("notify")
    sys.setswitchinterval(SWITCH_SECONDS)
    found = settings.load()
    stop = _stop_on_signal()

    from cli.wiring import alerts

    gc_tuning.spare()
    alerts.run_together(alerts.channels(found), stop)


def record() -> None:
    """Keeps MongoDB's alerts and incidents, and watches the alerts' own way, until stopped."""
    logs.configure("record")
    found = settings.load()
    stop = _stop_on_signal()

    from cli.wiring import alerts

    alerts.run_together(alerts.recorders(found), stop)


def _stop_on_signal() -> Event:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
