"""What can still be read of a message that is no report, when it says that there is an alert. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from fleet.alerts.alert import Alert, alert_id
from fleet.alerts.rules import HEARD, NAME, SEEN, incident_key
from fleet.reports.fields import number
from fleet.reports.report import EARLIEST, UNKNOWN, Citizen

_FLAG: Final = re.compile(rb'"alert"\s*:\s*true')
_STRINGS: Final = ("report_id", "drone_id", "country", "city", "message", "reported_at")
_NUMBERS: Final = ("latitude", "longitude", "battery")
_LONGEST: Final = 200_000
"""Bytes that are looked at for single fields: patterns over a message of megabytes would hold its neighbours up."""


def says_alert(value: bytes | None) -> bool:
    """Whether a drone meant to raise an alert, as far as one can still read it."""
    return value is not None and _FLAG.search(value) is not None


def unverified(value: bytes, source: str, received_at: datetime) -> Alert:
    """The alert of a message that is no report. `source` is its place in the topic, where it has no id of its own."""
    fields = _fields(value)
    report_id, drone = _text(fields, "report_id", source)[:200], _text(fields, "drone_id", UNKNOWN)[:200]
    city, country = _text(fields, "city", UNKNOWN)[:NAME], _text(fields, "country", UNKNOWN)[:NAME]
    return Alert(
        alert_id=alert_id("unrest", drone, report_id),
        kind="unrest",
        severity="high",
        incident_key=incident_key("unrest", drone, (city, country)),
        report_id=report_id,
        drone_id=drone,
        reported_at=_time(fields, received_at),
        received_at=received_at,
        country=country,
        city=city,
        latitude=_number(fields, "latitude"),
        longitude=_number(fields, "longitude"),
        battery=_number(fields, "battery"),
        citizens=_citizens(fields.get("citizens")),
        message=_text(fields, "message", "")[:HEARD],
        verified=False,
    )


def _fields(value: bytes) -> dict[str, Any]:
    try:
        whole = msgspec.json.decode(value)
    except Exception:  # noqa: BLE001 - whatever garbage makes a parser raise; then by pattern
        return _by_pattern(value[:_LONGEST].decode("utf-8", "replace"))
    return whole if isinstance(whole, dict) else {}


def _by_pattern(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _STRINGS:
        match = re.search(rf'"{name}"\s*:\s*"((?:[^"\\]|\\.){{0,2000}})', text)
        if match:
            found[name] = _unescaped(match.group(1))
    for name in _NUMBERS:
        match = re.search(rf'"{name}"\s*:\s*(-?\d{{1,4}}(?:\.\d{{1,20}})?)', text)
        if match:
            found[name] = float(match.group(1))
    return found


def _unescaped(text: str) -> str:
    try:
        return msgspec.json.decode(f'"{text}"', type=str)
    except (msgspec.MsgspecError, UnicodeError):
        return text


def _text(fields: dict[str, Any], name: str, otherwise: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) and value else otherwise


def _number(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return number(name, value)


def _time(fields: dict[str, Any], received_at: datetime) -> datetime:
    """The drone's time where it can be believed, else the broker's."""
    try:
        at = datetime.fromisoformat(_text(fields, "reported_at", ""))
    except ValueError:
        return received_at
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if EARLIEST <= at <= received_at else received_at


def _citizens(value: Any) -> list[Citizen]:
    found = []
    for item in value[:SEEN] if isinstance(value, list) else []:
        try:
            citizen = msgspec.convert(item, Citizen)
        except msgspec.MsgspecError:
            continue
        found.append(Citizen(citizen.name[:NAME], citizen.peace_score))
    return found
