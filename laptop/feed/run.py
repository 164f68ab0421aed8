"""Runs `peacewatch replay` and `peacewatch simulate`, from their checked arguments to the final count."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from fleet import topics
from fleet.errors import BadInput
from fleet.reports.report import EARLIEST, MAX_AHEAD, Report, encode
from infra import stop_signals
from infra.cities import cities
from infra.kafka.address import Address, shown
from infra.kafka.topics import TOPICS, create_topics
from laptop.feed.csv_file import CsvFile, open_csv
from laptop.feed.producer import Feed, paced
from laptop.feed.progress import progress
from laptop.feed.replay import Clock, OnBad
from laptop.simulator.simulator import SimulatedFleet

NAMED_ROWS: Final = 20
"""A file of another kind has thousands of bad rows; nobody reads them all."""


@dataclass(frozen=True)
class Recording:
    """A CSV file, and the clock that gives its rows their times."""

    path: Path
    start: datetime
    clock: Clock
    skip_bad_rows: bool = False


@dataclass(frozen=True)
class Simulation:
    """A fleet whose reports are 1 / `rate` seconds apart. `duration` is None for no end."""

    drones: int
    rate: float
    seed: int
    start: datetime
    duration: timedelta | None = None

    @property
    def total(self) -> int | None:
        """How many reports it makes."""
        return None if self.duration is None else max(1, round(self.rate * self.duration.total_seconds()))


def replay_file(bootstrap: Address, recording: Recording, rate: float | None) -> int:
    """Sends the file's reports and prints the number acknowledged. Raises BadInput before anything is sent."""
    with open_csv(recording.path) as file:
        total = _check(file, recording)
        reports = _reports(file, recording, _skip)
        messages = ((report.drone_id.encode(), encode(report)) for report in reports)
        return _send(bootstrap, messages, rate, f"replaying {file.name}", total)


def simulate_fleet(bootstrap: Address, simulation: Simulation) -> int:
    """Sends the fleet's reports to their end, or until SIGINT or SIGTERM, and prints the number acknowledged."""
    fleet = SimulatedFleet(cities(), simulation.drones, simulation.seed)
    messages = fleet.messages(simulation.start, timedelta(seconds=1 / simulation.rate))
    what, total = f"{simulation.drones:,} drones", simulation.total
    return _send(bootstrap, islice(messages, total), simulation.rate, what, total)


def _reports(file: CsvFile, recording: Recording, on_bad: OnBad) -> Iterator[Report]:
    return file.reports(recording.start, recording.clock, on_bad if recording.skip_bad_rows else None)


def _check(file: CsvFile, recording: Recording) -> int:
    """The number of reports in the file. Names on stderr the rows that are skipped, and times that landing rejects."""
    bad: list[BadInput] = []
    last, total = recording.start, 0
    for report in _reports(file, recording, bad.append):
        last = max(last, report.reported_at)
        total += 1
    for error in bad[:NAMED_ROWS]:
        _say(f"skipped {file.name}, {error}")
    if len(bad) > NAMED_ROWS:
        _say(f"skipped {len(bad) - NAMED_ROWS} more rows")
    if last > datetime.now(UTC) + MAX_AHEAD or recording.start < EARLIEST:
        _say(f"the reports are from {recording.start:%F} to {last:%F}; landing rejects the future and before 1970")
    return total


def _send(
    bootstrap: Address, messages: Iterable[tuple[bytes, bytes]], rate: float | None, what: str, total: int | None
) -> int:
    with Feed(bootstrap) as feed, progress(what, total) as watch, stop_signals.stop_event(once=True) as stop:
        create_topics(bootstrap, {topics.REPORTS: TOPICS[topics.REPORTS]})
        for key, value in paced(messages, rate, sleep=stop.wait):
            if stop.is_set():
                break
            feed.send(key, value)
            watch(feed)
        feed.flush()
        watch(feed)
    print(f"{feed.acknowledged} reports sent; Kafka at {shown(bootstrap)} has acknowledged all of them")
    if stop.is_set() and total is not None:
        raise KeyboardInterrupt  # only a part was sent
    return feed.acknowledged


def _skip(_error: BadInput) -> None:
    """The row was already named when the file was checked."""


def _say(text: str) -> None:
    print(f"peacewatch: {text}", file=sys.stderr)
