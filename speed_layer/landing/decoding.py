"""Messages of `reports` to reports, rejected messages and duplicates, with msgspec message by message: one bad message
must not cost its neighbours anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from fleet.alerts.rules import Nearest, place
from fleet.errors import RejectedReport
from fleet.reports import report as reports
from fleet.reports.pseudonyms import Pseudonyms
from fleet.reports.report import EARLIEST, MAX_AHEAD, Report, normal
from speed_layer.landing.deduplication import RecentReports, Verdict, name_of

LARGEST: Final = 1024 * 1024
"""Bytes of a report's message, as on our own topic. An outside topic may accept more; landing rejects larger ones."""

CHUNK: Final = 5000
"""Messages that Arrow reads at once: fewer cost more calls, more take memory and gain nothing."""

CHUNK_BYTES: Final = 16 * 1024 * 1024
"""Messages of a megabyte fill a chunk sooner; an Arrow column of texts ends at 2 GiB."""

CHUNK_HOURS: Final = 64
"""Distinct event hours of a chunk: each is a file of its own, which takes some 5 ms. A backlog of two days fits."""

_HOUR_MS: Final = 3600 * 1000
_MAX_AHEAD_US: Final = MAX_AHEAD // timedelta(microseconds=1)
_decoder: Final = msgspec.json.Decoder(Report)
_encode: Final = msgspec.json.Encoder().encode
_encode_lines: Final = msgspec.json.Encoder().encode_lines
_NONE: Final = Report("-", "-", EARLIEST, 0.0, 0.0, 1.0, [], "", alert=False, country="-", city="-")
"""In place of a message that is not a report."""


@dataclass(frozen=True)
class RejectedMessage:
    """A message that is not a report, or in conflict with another one: as it came, and why.

    `received_at` is the broker's time in ms since 1970.
    """

    reason: str
    detail: str
    partition: int
    offset: int
    received_at: int
    key: bytes | None
    value: bytes | None
    withheld: bool = False
    """Its value was left out because it may hold names, which must be stored nowhere where landing writes
    pseudonyms."""


@dataclass
class Decoded:
    """Decoded messages of one partition, up to a chunk of them.

    `lines`: the reports as JSON, in one form whatever the drone's was. `offsets` and `received_at` (ms) are those of
    `lines`, item by item; `hours` their event hours. `piece`: how many messages are judged at once, at first; each next
    piece is twice as large. `pseudonyms`: for citizens' names in the lake; None: names stay.
    """

    piece: int = field(default=CHUNK, compare=False)
    pseudonyms: Pseudonyms | None = field(default=None, compare=False)
    lines: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    received_at: list[int] = field(default_factory=list)
    hours: set[int] = field(default_factory=set)
    rejected: list[RejectedMessage] = field(default_factory=list)
    duplicates: int = 0
    messages: int = 0
    size: int = 0  # bytes of the messages

    @property
    def is_full(self) -> bool:
        return self.messages >= CHUNK or self.size >= CHUNK_BYTES or self.is_spread

    @property
    def is_spread(self) -> bool:
        return len(self.hours) >= CHUNK_HOURS

    @property
    def next_piece(self) -> int:
        """The first piece of the chunk after this one.

        Messages after the one that fills a chunk's hours are judged again with the next chunk. In a backlog with an
        hour a message each was judged forty times; so the next piece is twice what this chunk took.
        """
        return min(CHUNK, 2 * self.messages) if self.is_spread else CHUNK

    def take(
        self,
        records: Sequence[Any],
        window: RecentReports,
        nearest: Nearest,
        opens_at: datetime = EARLIEST,
        start: int = 0,
    ) -> int:
        """Adds Kafka's `records` from the position `start` on, until it is full. Returns the position after the last
        one added. Reports from before `opens_at` are too old. Raises nothing, whatever the messages hold.
        """
        position = start
        while position < len(records) and not self.is_full:
            part = records[position : position + min(self.piece, CHUNK - self.messages)]
            sizes = np.fromiter((len(record.value or b"") for record in part), "int64", len(part))
            room = CHUNK_BYTES - self.size  # the message that fills it is the last one
            part = part[: 1 + int(np.searchsorted(sizes.cumsum(), room))]
            outcomes = _judged(part, sizes[: len(part)], max(EARLIEST, opens_at), nearest)
            if self.pseudonyms is not None:
                outcomes.reports = list(map(self.pseudonyms.of, outcomes.reports))
            if not self._add_new(part, outcomes, window):
                part = part[: self._add_each(part, outcomes, window)]
            self.messages += len(part)
            position += len(part)
            self.piece = min(CHUNK, 2 * self.piece)
        return position

    def _add_new(self, part: Sequence[Any], outcomes: _Outcomes, window: RecentReports) -> bool:
        """Adds all at once, the usual case: no message is rejected or known, and their hours fit. False: nothing was
        added."""
        if outcomes.rejected:
            return False
        milliseconds = outcomes.reported_us // 1000
        hours = self.hours | set(np.unique(milliseconds // _HOUR_MS).tolist())
        if len(hours) >= CHUNK_HOURS:
            return False
        lines = _encode_lines(outcomes.reports).split(b"\n")  # line ends in texts are escaped
        lines.pop()
        offsets = [record.offset for record in part]
        if not window.enter(_names(outcomes.reports, milliseconds), list(map(hash, lines)), offsets):
            return False
        self.lines += lines
        self.offsets += offsets
        self.received_at += outcomes.received_at
        self.hours = hours
        self.size += outcomes.size
        return True

    def _add_each(self, part: Sequence[Any], outcomes: _Outcomes, window: RecentReports) -> int:
        """Adds one after the other, until the hours fill the chunk. Returns how many."""
        milliseconds = (outcomes.reported_us // 1000).tolist()
        for position, record in enumerate(part):
            if self.is_spread:
                return position
            if (rejected := outcomes.rejected.get(position)) is not None:
                self._reject(rejected)
                continue
            report, reported_ms = outcomes.reports[position], milliseconds[position]
            line = _encode(report)
            verdict = window.look((report.drone_id, report.report_id, reported_ms), hash(line), record.offset)
            if verdict is Verdict.NEW:
                self.lines.append(line)
                self.offsets.append(record.offset)
                self.received_at.append(record.timestamp)
                self.hours.add(reported_ms // _HOUR_MS)
                self.size += len(record.value)
            elif verdict is Verdict.DUPLICATE:
                self.duplicates += 1
            else:
                self._reject(_conflicting(record, report))
        return len(part)

    def _reject(self, message: RejectedMessage) -> None:
        self.size += len(message.value or b"")
        if self.pseudonyms is not None and message.value:
            message = replace(message, value=None, withheld=True)
        self.rejected.append(message)


@dataclass
class _Outcomes:
    """The outcome of each message, by position: a report, with its time in microseconds since 1970, or rejected."""

    reports: list[Report]  # of a rejected message: anything
    reported_us: Any
    received_at: list[int]  # the broker's time in ms
    size: int  # bytes of the messages
    rejected: dict[int, RejectedMessage]


def _judged(part: Sequence[Any], sizes: Any, earliest: datetime, nearest: Nearest) -> _Outcomes:
    """Decodes with msgspec, then judges a column at a time: Python touches a message again only where it is unusual."""
    reports, unreadable = _decoded(part)
    received_at = [record.timestamp for record in part]
    reported_us = _microseconds(reports)
    latest_us = np.array(received_at, "int64") * 1000 + _MAX_AHEAD_US
    usable = (reported_us >= _us(earliest)) & (reported_us <= latest_us) & (sizes <= LARGEST)
    usable[unreadable] = False
    rejected = {}
    for position in np.flatnonzero(~usable).tolist():
        checked = _report_or_rejected(part[position], earliest)
        if isinstance(checked, RejectedMessage):
            rejected[position], reports[position] = checked, _NONE
        else:
            reports[position], reported_us[position] = checked, _us(checked.reported_at)
    for position in _unusual(reports):
        reports[position] = _with_place(normal(reports[position]), nearest)
    return _Outcomes(reports, reported_us, received_at, int(sizes.sum()), rejected)


def _decoded(part: Sequence[Any]) -> tuple[list[Report], list[int]]:
    """The reports, and the positions of messages that the decoder refuses, which have _NONE for a report."""
    reports: list[Report] = []
    unreadable: list[int] = []
    values = iter([record.value for record in part])
    add, decode = reports.append, _decoder.decode
    while len(reports) < len(part):
        try:
            for value in values:
                add(decode(value))
        except Exception:  # noqa: BLE001 - garbage makes a parser raise anything; the slow way says what it is
            unreadable.append(len(reports))
            add(_NONE)
    return reports, unreadable


def _unusual(reports: Sequence[Report]) -> list[int]:
    """Positions of reports that `normal` changes, or that lack a part of their place."""
    battery = np.fromiter((report.battery for report in reports), "float64", len(reports))
    changes = (np.floor(battery * 1000 + 0.5) / 1000 != battery) | np.signbit(battery)  # the condition of `normal`
    found = np.flatnonzero(changes).tolist()
    found += [
        position
        for position, report in enumerate(reports)
        if report.city is None or report.country is None or report.reported_at.tzinfo is not UTC
    ]
    return found


def _with_place(report: Report, nearest: Nearest) -> Report:
    if report.city is not None and report.country is not None:
        return report
    city, country = place(report, nearest)
    return msgspec.structs.replace(report, city=city, country=country)


def _microseconds(reports: Sequence[Report]) -> Any:
    """The reports' times since 1970, as a writable array. Arrow takes five times as long for times with a zone."""
    since = pa.array([report.reported_at - EARLIEST for report in reports], pa.duration("us"))
    return since.cast(pa.int64()).to_numpy().copy()


def _us(time: datetime) -> int:
    return (time - EARLIEST) // timedelta(microseconds=1)


def _names(reports: Sequence[Report], milliseconds: Any) -> list[int]:
    times = milliseconds.tolist()
    return [name_of((report.drone_id, report.report_id, at)) for report, at in zip(reports, times, strict=True)]


def content(report: Report) -> int:
    """A hash of all fields of a report, the same in this process only."""
    return hash(_encode(report))


def _report_or_rejected(record: Any, opens_at: datetime) -> Report | RejectedMessage:
    """The report as `fleet.reports.report` defines it, or why the message is rejected."""
    value, received_at = record.value, datetime.fromtimestamp(record.timestamp / 1000, UTC)
    if value is not None and len(value) > LARGEST:
        reason, detail = "too large", f"{len(value)} bytes; landing accepts {LARGEST}, and keeps the first of them here"
    else:
        try:
            report = reports.decode(value, received_at)
            if report.reported_at >= opens_at:
                return report
            reason = "too old"
            detail = f"reported_at {report.reported_at.isoformat()} is of a sealed day; {opens_at:%F} is open"
        except RejectedReport as error:
            reason, detail = error.reason, error.detail
    kept = None if value is None else value[:LARGEST]
    return RejectedMessage(reason, detail, record.partition, record.offset, record.timestamp, record.key, kept)


def _conflicting(record: Any, report: Report) -> RejectedMessage:
    at = report.reported_at.isoformat(timespec="milliseconds")
    detail = f"a report {report.report_id!r} of drone {report.drone_id!r} at {at} has landed with other content"
    return RejectedMessage(
        "conflict", detail, record.partition, record.offset, record.timestamp, record.key, record.value
    )
