"""`peacewatch demo`: starts everything in a new folder, streams a fleet or runs one round, and stops everything."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from infra import stop_signals
from infra.cities import cities
from laptop.demo.home import demo_settings
from laptop.demo.live import Show, Stream
from laptop.demo.round import Round
from laptop.demo.running_stack import running
from laptop.demo.source import of_file, of_round
from laptop.demo.steps import Steps
from laptop.demo.tables import show
from laptop.demo.watch import Watch
from laptop.feed.producer import Feed
from laptop.feed.run import Recording
from laptop.simulator.simulator import SimulatedFleet


def one_round(recording: Recording | None, seed: int, summary_file: Path | None) -> None:
    """Runs one round with the recording, or with a simulated fleet.

    Raises ServiceUnavailable, which names the failed step and its log.
    """
    console, now = Console(), datetime.now(UTC)
    # The other DAGs stay paused, which leaves the machine to the one that the round triggers.
    new_home = demo_settings(now, airflow_paused=True)
    with of_file(recording) if recording else of_round(seed, now) as source, new_home as settings:
        steps = Steps(console, settings.home / "log")
        with running(settings, steps, console) as demo, closing(demo.airflow_api()) as airflow:
            summary = Round(demo.addresses, settings.web_url, airflow).run(source, steps)
    if summary_file is not None:
        summary.write(summary_file)
    show(summary, console)


def live(drones: int, rate: float, seed: int) -> None:
    """Streams a simulated fleet and shows the stack's counts until Ctrl-C."""
    fleet, console, now = SimulatedFleet(cities(), drones, seed), Console(), datetime.now(UTC)
    with demo_settings(now) as settings:
        steps = Steps(console, settings.home / "log")
        with (
            running(settings, steps, console) as demo,
            closing(Watch(demo.addresses)) as watch,
            Feed(demo.addresses.bootstrap) as feed,
            stop_signals.stop_event(once=True) as stop,
        ):
            messages = fleet.messages(datetime.now(UTC), timedelta(seconds=1 / rate))
            stream = Stream(feed, messages, rate, stop)
            counts = Show(stream, feed, watch, demo.where(), console, stop).run()
            console.print(counts.line(), highlight=False, soft_wrap=True)
