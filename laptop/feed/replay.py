"""The original data as reports. The rows of the CSV file have no times, so a clock gives each row its time.

Clock `fleet`: row i is at start + i minutes, i from 0. Clock `drone`: each drone's rows, in the order of the file, are
one minute apart from start. A report's id is its Record and that time, so the same file replayed with the same start
gives the same ids.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

from fleet.errors import BadInput
from fleet.reports.report import Citizen, Report
from fleet.spreadsheet import Row, Spreadsheet

HEADER: Final = (
    "DroneID",
    "Record",
    "Citizen",
    "Message",
    "PeaceScore",
    "Country",
    "City",
    "Latitude",
    "Longitude",
    "Battery",
    "Alert",
)

Clock = Literal["fleet", "drone"]
CLOCKS: Final[tuple[Clock, ...]] = get_args(Clock)

STEP: Final = timedelta(minutes=1)
"""A drone reports once a minute."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ALERT: Final = {"0": False, "1": True, "FALSE": False, "TRUE": True}  # a spreadsheet turns 0 and 1 into words

OnBad = Callable[[BadInput], None]


def stop(error: BadInput) -> None:
    """The default for a bad row: nothing in the file is sent."""
    raise error


def reports(lines: Iterable[str], start: datetime, clock: Clock, on_bad: OnBad = stop) -> Iterator[Report]:
    """The reports of a CSV file in its order. `lines` keep their line ends, and undecodable bytes as surrogates.
    A file saved by a spreadsheet is accepted, too (fleet/spreadsheet.py).

    An error names the line where the row starts, from 1, and the column. A bad row goes to `on_bad`. It still uses up
    its minute, so that correcting it changes no other report. A wrong header always raises BadInput.
    """
    if clock not in CLOCKS:
        raise BadInput("clock", f"{clock!r} is neither fleet nor drone")
    if start.tzinfo is None:
        raise BadInput("start", "a time zone is missing")
    minutes: Counter[str] = Counter()
    sheet = Spreadsheet(lines, HEADER)
    for index, (line, row) in enumerate(_rows(sheet)):
        try:
            cells = _cells(line, row, sheet)
            drone_id = cells.text("DroneID", least=1, most=200)
            minute = index if clock == "fleet" else minutes[drone_id]
            minutes[drone_id] += 1
            report = _report(cells, drone_id, _time(start, minute))
        except BadInput as error:
            on_bad(error)
        else:
            yield report


def _rows(sheet: Spreadsheet) -> Iterator[tuple[int, Row | csv.Error]]:
    """(the line where it starts, its cells or the error) of each row after the header."""
    rows = iter(sheet)
    line, header = next(rows, (1, None))
    if header is None:
        raise BadInput("line 1", f"the file is empty; it must start with {','.join(HEADER)}")
    _check_header(line, header)
    yield from rows


def _check_header(line: int, row: Row | csv.Error) -> None:
    fields = _whole_row(line, row)
    for number, (field, expected) in enumerate(zip(fields, HEADER, strict=False), start=1):
        if field != expected:
            raise BadInput(f"line {line}, column {number}", f"the header says {_quote(field)}, not {expected}")
    _check_width(line, fields)


def _cells(line: int, row: Row | csv.Error, sheet: Spreadsheet) -> _Cells:
    fields = _whole_row(line, row)
    _check_width(line, fields)
    return _Cells(line, fields, sheet)


def _whole_row(line: int, row: Row | csv.Error) -> Row:
    if isinstance(row, csv.Error):
        raise BadInput(f"line {line}", f"broken CSV: {row}")
    return row


def _check_width(line: int, row: Row) -> None:
    if len(row) < len(HEADER):
        missing = HEADER[len(row)]
        raise BadInput(f"line {line}, column {missing}", f"is missing: {len(row)} columns, not {len(HEADER)}")
    if len(row) > len(HEADER):
        raise BadInput(
            f"line {line}, column {len(HEADER) + 1}", f"is not expected: {len(row)} columns, not {len(HEADER)}"
        )


def _time(start: datetime, minute: int) -> datetime:
    try:
        return start.astimezone(UTC) + minute * STEP
    except OverflowError:
        raise BadInput("start", f"{start.isoformat()} and {minute} minutes more are after the year 9999") from None


def _report(cell: _Cells, drone_id: str, reported_at: datetime) -> Report:
    return Report(
        report_id=f"{cell.text('Record', least=1, most=150)}@{stamp(reported_at)}",
        drone_id=drone_id,
        reported_at=reported_at,
        latitude=cell.number("Latitude", -90, 90),
        longitude=cell.number("Longitude", -180, 180),
        battery=cell.number("Battery", 0, 100),
        citizens=[Citizen(cell.text("Citizen", most=1000), cell.whole("PeaceScore", 1, 10))],
        message=cell.text("Message"),
        alert=cell.flag("Alert"),
        country=cell.text("Country", most=200) or None,
        city=cell.text("City", most=200) or None,
    )


def stamp(time: datetime) -> str:
    """`2021-03-22T00:00:00Z`, with a fraction only where there is one."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


class _Cells:
    """The cells of one row by column name. A wrong one raises BadInput, which names its line and column."""

    def __init__(self, line: int, row: Row, sheet: Spreadsheet) -> None:
        self._line = line
        self._sheet = sheet
        self._cells = dict(zip(HEADER, row, strict=True))

    def text(self, column: str, least: int = 0, most: int | None = None) -> str:
        cell = self._cells[column]
        if not cell.isascii() and any("\ud800" <= character <= "\udfff" for character in cell):
            raise self._bad(column, "is not UTF-8")
        if len(cell) < least:
            raise self._bad(column, "is empty")
        if most is not None and len(cell) > most:
            raise self._bad(column, f"has {len(cell)} characters, more than {most}")
        return cell

    def number(self, column: str, low: float, high: float) -> float:
        cell = self._sheet.number(self._cells[column].strip())
        if not _NUMBER.fullmatch(cell):
            raise self._bad(column, f"{_quote(cell)} is not a number")
        if not low <= float(cell) <= high:
            raise self._bad(column, f"{_quote(cell)} is not from {low} to {high}")
        return float(cell)

    def whole(self, column: str, low: int, high: int) -> int:
        number = self.number(column, low, high)
        if not number.is_integer():
            raise self._bad(column, f"{_quote(self._cells[column])} is not a whole number")
        return int(number)

    def flag(self, column: str) -> bool:
        cell = self._cells[column].strip().upper()
        if cell not in _ALERT:
            raise self._bad(column, f"{_quote(self._cells[column].strip())} is neither 0 nor 1")
        return _ALERT[cell]

    def _bad(self, column: str, reason: str) -> BadInput:
        return BadInput(f"line {self._line}, column {column}", reason)


def _quote(cell: str) -> str:
    """A cell as an error shows it: short, and without control characters that a terminal would obey."""
    return ascii(cell if len(cell) <= 40 else cell[:40] + "…") if not cell.isprintable() else f"'{cell[:40]}'"
