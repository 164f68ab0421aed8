"""The alerts of a message that is not a report, as far as it can be read. Pure.

What parses is read and searched: lines, values one after the other, lists, objects, and texts that hold JSON. Each
object whose own `alert` is a form of true raises one alert, with the object's fields. Only what does not parse is
searched by pattern.

Such an alert is identified by its place on the topic, not by the ids in the message: it must not pass for a real
report's alert.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from json import JSONDecoder
from typing import Any, Final

import msgspec

from fleet import identity
from fleet.alerts.alert import Alert
from fleet.alerts.rules import HEARD, NAME, SEEN, Nearest, incident_key
from fleet.reports import fields as ranges
from fleet.reports.report import EARLIEST, UNKNOWN, Citizen

_QUOTE: Final = r"""\\{0,8}["']"""
"""Double, single (Python's own form), or escaped, as in a text that holds JSON; bounded, so that a run of backslashes
costs no time."""

_VALUE: Final = rf"(?:(?:true|yes)\b|1(?![\d.])|{_QUOTE}\s*(?:true|yes|1)\s*{_QUOTE})"
_FLAG: Final = re.compile(rf"[\"']alert{_QUOTE}\s*:\s*{_VALUE}".encode(), re.IGNORECASE)
_WORDS: Final = """
    true 1 1.0 t yes y on wahr ja vrai oui verdadero sí si vero sì verdadeiro sim waar sand sant tak prawda ano igen da
    adevărat doğru evet да истина так ναι αληθές 真 是 はい 예 참 نعم صحيح כן हाँ सत्य ใช่ จริง
"""
_TRUE: Final = frozenset(_WORDS.split())
"""As texts, in the languages of spreadsheets. The original data writes 1 and 0."""

_ESCAPE: Final = b"\\u00"
"""The beginning of an ASCII letter written as JSON's escape."""

_STRINGS: Final = ("report_id", "drone_id", "country", "city", "message", "reported_at")
_NUMBERS: Final = ("latitude", "longitude", "battery")
_ID: Final = 200
_LONGEST_FLAG: Final = 20
"""Characters; no word of _TRUE is longer."""

_WIDE: Final = tuple(
    (encoding, re.compile(beginning, re.DOTALL))
    for encoding, beginning in (
        ("utf-32-le", rb"\xff\xfe\0\0|[^\0]\0\0\0"),
        ("utf-32-be", rb"\0\0\xfe\xff|\0\0\0[^\0]"),
        ("utf-16-le", rb"\xff\xfe|[^\0]\0[^\0]\0"),
        ("utf-16-be", rb"\xfe\xff|\0[^\0]\0[^\0]"),
    )
)
"""The beginning of JSON in UTF-16 or UTF-32, which firmware in Java and .NET writes."""

LONGEST: Final = 200_000
"""Bytes of a piece that are searched by pattern: searching megabytes would delay the next messages."""

DEPTH: Final = 8
"""How deep objects are searched: firmware wraps a report once or twice."""

LOOKS: Final = 10_000
"""Values of a message that are searched; a message of 1 MiB may have half a million."""

MOST: Final = 50
"""Alerts of one message; the last one says that there are more."""

FEW: Final = 5
ALERT_BYTES: Final = 100
"""A message of more than FEW alerts has so many bytes for each. A report has 150 at least; 600 bytes of nothing but
flags were 50 alerts, and 3 MB of such held the neighbours up for half a minute."""

_json: Final = JSONDecoder()


def salvaged(
    value: bytes | None, place: tuple[str, int, int], received_at: datetime, nearest: Nearest = lambda *_: None
) -> list[Alert]:
    """The alerts of a message that is not a report. `place` is topic id, partition and offset."""
    value = _as_utf8(value or b"")
    if not _may_flag(value):
        return []
    alerts: list[Alert] = []
    most = min(MOST, max(FEW, len(value) // ALERT_BYTES))
    for number, fields in enumerate(_flagged(value)):
        if number == most:
            alerts[-1] = msgspec.structs.replace(alerts[-1], note=f"the message has more than {most} alerts")
            break
        alerts.append(_alert(fields, (*place, number), received_at, nearest))
    return alerts


def _may_flag(value: bytes) -> bool:
    """Whether the text may have a flag, whose name may be written in JSON's escapes."""
    return b"alert" in value or _ESCAPE in value


def is_true(value: Any) -> bool:
    """Whether a flag is set, in one of the forms that drones write: true, 1, "true", "1"."""
    if isinstance(value, str):
        return unicodedata.normalize("NFKC", value[:_LONGEST_FLAG]).strip(" \t\r\n\0").casefold() in _TRUE
    return isinstance(value, bool | int | float) and value == 1


def _as_utf8(value: bytes) -> bytes:
    """UTF-16 and UTF-32, by their mark or by the zeros of a first letter of ASCII (RFC 4627, 3), as UTF-8."""
    for encoding, beginning in _WIDE:
        if beginning.match(value):
            return value.decode(encoding, "replace").removeprefix("\ufeff").encode()
    return value.removeprefix(b"\xef\xbb\xbf")


def _flagged(value: bytes) -> Iterator[dict[str, Any]]:
    """The objects that raise an alert."""
    for piece in _pieces(value):
        whole = _parsed(piece)
        if whole is not None:
            yield from _inside(whole)
        elif _FLAG.search(piece):
            yield _by_pattern(piece[:LONGEST].decode("utf-8", "replace"))


def _pieces(value: bytes) -> list[bytes]:
    """The whole where it parses; else its lines that may have a flag, and each value of a line."""
    if _parsed(value) is not None:
        return [value]
    lines = [line for line in value.splitlines() if _may_flag(line)]
    if any(_parsed(line) is not None for line in lines[:MOST]):
        return [part for line in lines[: MOST + 1] for part in _side_by_side(line)]
    return _side_by_side(value)


def _side_by_side(line: bytes) -> list[bytes]:
    """`{…}{…}` as two; the rest after the last value that parses is one more piece."""
    if _parsed(line) is not None or len(line) > LONGEST:
        return [line]
    parts: list[bytes] = []
    try:
        text = line.decode()
        while len(parts) <= MOST and text.strip():
            _, end = _json.raw_decode(text.lstrip())
            text = text.lstrip()
            parts.append(text[:end].encode())
            text = text[end:].lstrip(" \t\r\n,;")
    except (ValueError, RecursionError):
        return [*parts, text.encode()] if parts else [line]
    return parts or [line]


def _parsed(value: bytes | str) -> Any:
    try:
        return msgspec.json.decode(value)
    except Exception:  # noqa: BLE001 - whatever garbage makes a parser raise
        return None


def _inside(whole: Any) -> Iterator[dict[str, Any]]:
    """Breadth first; the flag of an object covers all objects inside it."""
    level, looks = [whole], 0
    for _ in range(DEPTH):
        below: list[Any] = []
        for value in level:
            looks += 1
            if looks > LOOKS:
                return
            if isinstance(value, dict) and not isinstance(value.get("alert", []), list | dict):
                if is_true(value["alert"]):
                    yield value
            elif isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value[:LOOKS])
            elif isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"') and _may_flag(value.encode()):
                below.append(_parsed(value))
        level = below


def _alert(fields: dict[str, Any], place: tuple[str, int, int, int], received_at: datetime, nearest: Nearest) -> Alert:
    topic_id, partition, offset, number = place
    source = f"{partition}-{offset}" + (f"-{number}" if number else "")
    report_id, drone = _text(fields, "report_id", source)[:_ID], _text(fields, "drone_id", UNKNOWN)[:_ID]
    latitude, longitude = _number(fields, "latitude"), _number(fields, "longitude")
    city, country = _text(fields, "city", "")[:NAME], _text(fields, "country", "")[:NAME]
    if not (city and country) and latitude is not None and longitude is not None:
        named = nearest(latitude, longitude)
        if named is not None and country in ("", named[1]):
            city, country = city or named[0], named[1]
    city, country = city or UNKNOWN, country or UNKNOWN
    return Alert(
        alert_id=identity.join("unrest", "salvaged", topic_id, str(partition), str(offset), str(number)),
        kind="unrest",
        severity="high",
        incident_key=incident_key("unrest", drone, (city, country)),
        report_id=report_id,
        drone_id=drone,
        reported_at=_time(fields, received_at),
        received_at=received_at,
        country=country,
        city=city,
        latitude=latitude,
        longitude=longitude,
        battery=_number(fields, "battery"),
        citizens=_citizens(fields.get("citizens")),
        message=_text(fields, "message", "")[:HEARD],
        verified=False,
    )


def _by_pattern(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in _STRINGS:
        match = re.search(rf'"{name}"\s*:\s*"((?:[^"\\]|\\.){{0,2000}})', text)
        match = match or re.search(rf"[\"']{name}{_QUOTE}\s*:\s*{_QUOTE}([^\"'\\]{{0,2000}})", text)
        if match:
            fields[name] = _unescaped(match.group(1))
    for name in _NUMBERS:
        match = re.search(rf"[\"']{name}{_QUOTE}\s*:\s*(-?\d{{1,4}}(?:\.\d{{1,20}})?)(?![\w.])", text)
        if match:
            fields[name] = float(match.group(1))
    return fields


def _unescaped(text: str) -> str:
    try:
        return msgspec.json.decode(f'"{text}"', type=str)
    except (msgspec.MsgspecError, UnicodeError):
        return text


def _text(fields: dict[str, Any], name: str, otherwise: str) -> str:
    """An id may be a number: drones of the original data have numbers."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value else otherwise


def _number(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return ranges.number(name, float(value))
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _time(fields: dict[str, Any], received_at: datetime) -> datetime:
    """The drone's time where it can be believed, else the broker's."""
    try:
        at = datetime.fromisoformat(_text(fields, "reported_at", ""))
    except ValueError:
        return received_at
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if EARLIEST <= at <= received_at else received_at


def _citizens(value: Any) -> list[Citizen]:
    citizens = []
    for item in value[:SEEN] if isinstance(value, list) else []:
        try:
            citizen = msgspec.convert(item, Citizen)
        except msgspec.MsgspecError:
            continue
        citizens.append(Citizen(citizen.name[:NAME], citizen.peace_score))
    return citizens
