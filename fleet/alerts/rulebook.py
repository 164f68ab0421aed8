"""The files of rules (TOML) and of charging stations (CSV), checked: what is wrong is named by line. Pure."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator
from typing import Final

import msgspec

from fleet.alerts import watchwords
from fleet.alerts.charging import Station
from fleet.alerts.rules import Rules
from fleet.errors import BadSettings
from fleet.spreadsheet import Spreadsheet

_COLUMNS: Final = ["name", "latitude", "longitude"]


def parse(text: str, name: str, stations: tuple[Station, ...] = ()) -> Rules:
    """The rules of the file `name` with this `text`. Raises BadSettings: file, line, what is wrong."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{name}: {error}") from None
    if "low_battery" in table and isinstance(table["low_battery"], dict):
        table["low_battery"]["stations"] = [msgspec.structs.asdict(station) for station in stations]
    try:
        rules = msgspec.convert(table, Rules)
    except msgspec.ValidationError as error:
        raise BadSettings(f"{name}, {_where(text, str(error))}: {error}") from None
    for path, wrong in _contradictions(rules):
        raise BadSettings(f"{name}, {_where(text, f'`$.{path}`')}: {path} {wrong}")
    return rules


def parse_stations(text: str, name: str) -> tuple[Station, ...]:
    """The stations of a CSV file with the columns name, latitude, longitude. Raises BadSettings."""
    sheet = Spreadsheet(text.splitlines(keepends=True), _COLUMNS)
    rows = iter(sheet)
    _, header = next(rows, (1, None))
    if header != _COLUMNS:
        raise BadSettings(f"{name}, line 1: the columns must be {', '.join(_COLUMNS)}")
    stations = []
    for number, row in rows:
        if isinstance(row, csv.Error):
            raise BadSettings(f"{name}, line {number}: broken CSV: {row}")
        try:
            station = dict(zip(_COLUMNS, row, strict=True))
            station |= {column: sheet.number(station[column]) for column in _COLUMNS[1:]}
            stations.append(msgspec.convert(station, Station, strict=False))
        except (msgspec.ValidationError, ValueError) as error:
            raise BadSettings(f"{name}, line {number}: {error}") from None
    return tuple(stations)


def _contradictions(rules: Rules) -> Iterator[tuple[str, str]]:
    if rules.low_battery is not None and rules.low_battery.clear_at <= rules.low_battery.below:
        yield "low_battery.clear_at", "must be above low_battery.below, or an alert clears as it is raised"
    if rules.unrest is not None and rules.unrest.critical_at_most > rules.unrest.high_at_most:
        yield "unrest.critical_at_most", "must not be above unrest.high_at_most"
    if rules.watchword is not None and not rules.watchword.words:
        yield "watchword.words", "must have a word"
    for word in rules.watchword.words if rules.watchword is not None else ():
        if not watchwords.folded(word):
            yield "watchword.words", f"has {word!r}, in which there is nothing to hear"
    if rules.silent is not None and (rules.silent.interval <= 0 or rules.silent.missed < 1):
        yield "silent.interval", "and silent.missed must be positive"


def _where(text: str, error: str) -> str:
    """`line 7`: of the key that the error's path names, else of its table, else of an unknown key that it names."""
    path = re.search(r"`\$\.([\w.]+)", error)
    unknown = re.search(r"unknown field `(\w+)`", error)
    table, _, key = (path.group(1) if path else "").partition(".")
    key = unknown.group(1) if unknown else key.split("[")[0]
    return f"line {_line(text.splitlines(), table, key)}"


def _line(lines: list[str], table: str, key: str) -> int:
    inside, of_table = not table, 1
    for number, line in enumerate(lines, start=1):
        header = re.match(r"\s*\[\s*([\w.]+)\s*\]", line)
        if header:
            if not table and header.group(1) == key:
                return number
            inside = header.group(1) == table
            of_table = number if inside else of_table
        elif inside and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return of_table
