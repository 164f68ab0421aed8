"""Commands: alerting, notify and record, the alert pipeline from a report to people."""

from __future__ import annotations

import sys
from typing import Final

import typer

from infra import gc_tuning, logs, settings, stop_signals

SWITCH_SECONDS: Final = 0.0005
"""How long one of our threads may keep the interpreter from the Kafka client's threads. At Python's 5 ms an alert
had to wait while reports were judged: 8 of the 32 ms from a report to its message (docs/measurements.md)."""


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command("alerting")(alerting)
    app.command("notify")(notify)
    app.command("record")(record)


def alerting() -> None:
    """Judge every report and raise alerts, until stopped. Several processes share the work.

    It is configured by PEACEWATCH_ settings alone.
    """
    logs.configure("alerting")
    sys.setswitchinterval(SWITCH_SECONDS)
    loaded = settings.load()
    with stop_signals.stop_event() as stop:
        from cli.wiring import alerts, operations

        operations.serve(loaded, "alerting")
        alerter = alerts.alerter(loaded)
        gc_tuning.spare()
        alerter(stop)


def notify() -> None:
    """Notify people of alerts in Discord, until stopped. One process per webhook is active; others stand by."""
    logs.configure("notify")
    sys.setswitchinterval(SWITCH_SECONDS)
    loaded = settings.load()
    with stop_signals.stop_event() as stop:
        from cli.wiring import alerts, operations

        operations.serve(loaded, "notify")
        gc_tuning.spare()
        alerts.run_together(alerts.channels(loaded), stop)


def record() -> None:
    """Record alerts and incidents in MongoDB and watch the alert pipeline, until stopped."""
    logs.configure("record")
    loaded = settings.load()
    with stop_signals.stop_event() as stop:
        from cli.wiring import alerts, operations

        operations.serve(loaded, "record", old="alert_metrics_port")
        alerts.run_together(alerts.recorders(loaded), stop)
