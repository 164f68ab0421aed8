"""Commands: alerting, notify and record, the alerts' way from a report to people."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from fleet.errors import BadSettings
from stack import logs, settings

if TYPE_CHECKING:
    from stack.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command("alerting")(alerting)
    app.command("notify")(notify)
    app.command("record")(record)


def alerting() -> None:
    """Judges every report and raises alerts, until stopped."""
    logs.configure("alerting")
    found = settings.load()
    stop = _stop_on_signal()

    from speed_layer import alerting as layer  # noqa: PLC0415 - each process loads its own layer only

    layer.run(layer.AlertingConfig(found.bootstrap, nearest=_nearest), stop)


def notify() -> None:
    """Tells people of alerts in Discord, until stopped. One is active for a webhook; others stand by."""
    logs.configure("notify")
    found = settings.load()
    stop = _stop_on_signal()

    from speed_layer import notifier  # noqa: PLC0415
    from speed_layer.delivery import Sender  # noqa: PLC0415

    notifier.run(
        notifier.NotifierConfig(found.bootstrap),
        lambda: Sender(_webhook_url(found), found.web_url, time.monotonic),
        stop,
    )


def record() -> None:
    """Keeps MongoDB's alerts and incidents, until stopped."""
    logs.configure("record")
    found = settings.load()
    stop = _stop_on_signal()

    from speed_layer import recorder  # noqa: PLC0415

    recorder.run(recorder.RecorderConfig(found.bootstrap, found.mongo), stop)


def _webhook_url(found: Settings) -> Callable[[], str]:
    """The URL as it is now: a file that held it may hold another by the time the old one is dead."""

    def now() -> str:
        try:
            return settings.load().webhook
        except BadSettings:
            return found.webhook

    return now


def _nearest(latitude: float, longitude: float) -> tuple[str, str] | None:
    from speed_layer.places import places  # noqa: PLC0415 - a second and many megabytes, and seldom needed

    city = places().nearest(latitude, longitude)
    return (city.name, city.country) if city else None


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
