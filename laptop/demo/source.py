"""What a demo sends: the reports of a CSV file, or of a simulated fleet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Final

from fleet.reports.report import Report, encode
from infra.cities import cities
from laptop.feed.csv_file import open_csv
from laptop.feed.run import Recording
from laptop.simulator.simulator import SimulatedFleet

ROUND_DRONES: Final = 20
ROUND_REPORTS: Final = 10_000
"""As many as the original data has."""


class DemoSource:
    """Reports that can be read once. After that, `first` and `last` are the first and last day that they cover."""

    def __init__(self, reports: Iterable[Report], total: int | None) -> None:
        self._reports = reports
        self.total = total
        self.first = date.max
        self.last = date.min

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of each report."""
        for report in self._reports:
            day = report.reported_at.date()
            self.first, self.last = min(self.first, day), max(self.last, day)
            yield report.drone_id.encode(), encode(report)


@contextmanager
def of_file(recording: Recording) -> Iterator[DemoSource]:
    """The reports of a file that is checked in full first. Raises BadInput, which names the first wrong row."""
    with open_csv(recording.path) as file:
        total = sum(1 for _ in file.reports(recording.start, recording.clock))
        yield DemoSource(file.reports(recording.start, recording.clock), total)


@contextmanager
def of_round(seed: int, now: datetime) -> Iterator[DemoSource]:
    """A simulated fleet's reports over eight hours from a day ago, so none is ahead of the broker's clock."""
    start = (now - timedelta(days=1)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    reports = SimulatedFleet(cities(), ROUND_DRONES, seed).reports(start, timedelta(minutes=1) / ROUND_DRONES)
    yield DemoSource(islice(reports, ROUND_REPORTS), ROUND_REPORTS)
