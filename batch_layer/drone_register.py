"""The register of drones: which drones are expected to report on which day. Without one, those seen recently are.

A CSV file with a header: `drone_id`, `from`, `until`; the dates are UTC days, both in service, and may be empty. It
may come from a spreadsheet: with a byte-order mark, with semicolons, with empty rows and spaces around values.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from fleet.errors import BadInput, BadSettings
from fleet.spreadsheet import Spreadsheet

COLUMNS: Final = ("drone_id", "from", "until")
SCHEMA: Final = pa.schema([("drone_id", pa.string()), ("from", pa.date32()), ("until", pa.date32())])
LONGEST: Final = 1_000
"""Characters of a value; a drone's id has at most 200. So a file that is not CSV fails at its first line."""

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True)
class Register:
    """Rows of SCHEMA."""

    drones: pa.Table

    def expected(self, day: date) -> pa.Array:
        """The ids of the drones in service on `day`, each once."""
        begins = pc.fill_null(pc.less_equal(self.drones["from"], pa.scalar(day)), True)
        ends = pc.fill_null(pc.greater_equal(self.drones["until"], pa.scalar(day)), True)
        return pc.unique(self.drones.filter(pc.and_(begins, ends))["drone_id"].combine_chunks())


def load(path: Path) -> Register:
    """Raises BadSettings when the file cannot be read, BadInput that names the line and what is wrong with it."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise BadSettings(f"PEACEWATCH_DRONE_REGISTER: {error.strerror}: {path}") from None
    except UnicodeDecodeError:
        raise BadInput(str(path), "it is not UTF-8; save it as CSV UTF-8") from None
    try:
        rows = list(_rows(text))
    except _Wrong as wrong:
        raise BadInput(str(path), str(wrong)) from None
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return Register(pa.table(dict(zip(COLUMNS, columns, strict=True)), schema=SCHEMA))


class _Wrong(Exception):
    """Its text names the line, and what is wrong with it."""


def _rows(text: str) -> Iterator[tuple[str, date | None, date | None]]:
    places: list[int] = []
    for line, row in Spreadsheet(io.StringIO(text, newline=""), COLUMNS):
        if isinstance(row, csv.Error):
            raise _Wrong(f"line {line} is not CSV: {row}")
        cells = [cell.strip() for cell in row]
        if places:
            yield _row([cells[at] if at < len(cells) else "" for at in places], f"line {line}")
        else:
            places = _places([cell.lower() for cell in cells])
    if not places:
        _places([])


def _places(header: list[str]) -> list[int]:
    for name in COLUMNS:
        if name not in header:
            raise _Wrong(f"its first line has no column {name}; it is {','.join(COLUMNS)}")
    return [header.index(name) for name in COLUMNS]


def _row(values: list[str], line: str) -> tuple[str, date | None, date | None]:
    drone_id, *days = values
    if not drone_id:
        raise _Wrong(f"{line} has no drone_id")
    if len(drone_id) > LONGEST:
        raise _Wrong(f"{line} has a drone_id of more than {LONGEST:,} characters")
    begin, end = (_day(day, line) for day in days)
    if begin and end and end < begin:
        raise _Wrong(f"{line} ends on {end}, before it begins on {begin}")
    return drone_id, begin, end


def _day(text: str, line: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise _Wrong(f"{line}: {text[:40]!r} is not a date; write it as 2026-11-24") from None
