"""A CSV file of the original data on this machine, checked in full before any of it is sent."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from fleet.errors import BadInput
from fleet.reports.report import Report
from laptop.feed import replay
from laptop.feed.replay import Clock, OnBad


class CsvFile:
    """An open file whose reports can be read more than once, even if it is a pipe."""

    def __init__(self, data: IO[bytes], name: str) -> None:
        self.name = name
        # An invalid UTF-8 byte becomes a surrogate, which the replay reports with its line and column.
        self._text = TextIOWrapper(data, encoding="utf-8-sig", errors="surrogateescape", newline="")

    def reports(self, start: datetime, clock: Clock, on_bad: OnBad | None = None) -> Iterator[Report]:
        """The reports from the beginning of the file. A wrong header or, without `on_bad`, a wrong row raises BadInput,
        which names file, line and column."""
        self._text.seek(0)
        try:
            yield from replay.reports(self._text, start, clock, on_bad or replay.stop)
        except BadInput as error:
            raise BadInput(f"{self.name}, {error.field}", error.reason) from None


@contextmanager
def open_csv(path: Path) -> Iterator[CsvFile]:
    """Raises BadInput when there is no such file, or it cannot be read."""
    try:
        with path.open("rb") as file, tempfile.TemporaryFile() as spool:
            if not file.seekable():
                shutil.copyfileobj(file, spool)
            yield CsvFile(file if file.seekable() else spool, path.name)
    except OSError as error:
        if error.filename is None:
            raise
        raise BadInput(str(path), f"cannot be read: {error.strerror}") from None
