"""Messages of `reports` to rows of the lake: msgspec message by message, since one bad message must not cost its
neighbours anything; then Arrow in chunks, which reads the good ones again, all at once and without Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from fleet.alerts.rules import Nearest, place
from fleet.errors import RejectedReport
from fleet.reports import report as reports
from fleet.reports.fields import LOW_MILLIPERCENT
from fleet.reports.landed import BATTERY_BITS, SCHEMA
from fleet.reports.report import EARLIEST, MAX_AHEAD, Report, normal
from speed_layer.landing.deduplication import NEW, Verdict, Window

LARGEST: Final = 1024 * 1024
"""Bytes of a report's message; the topic's own limit here. An outside topic may take more, landing does not."""

CHUNK: Final = 5000
"""Messages that Arrow takes at once: fewer cost calls, more gain nothing and take memory."""

CHUNK_BYTES: Final = 16 * 1024 * 1024
"""Messages of a megabyte fill a chunk sooner; an Arrow column of texts ends at 2 GiB."""

CHUNK_HOURS: Final = 64
"""Distinct event hours of a chunk: each is a file of its own, which takes some 5 ms. A backlog of two days fits."""

_HOUR_US: Final = 3600 * 1_000_000
_HOUR_MS: Final = 3600 * 1000
_DAY_MS: Final = 24 * _HOUR_MS
_decoder: Final = msgspec.json.Decoder(Report)
_encode: Final = msgspec.json.Encoder().encode
_WIRE: Final = pa.schema([SCHEMA.field(name) for name in Report.__struct_fields__])


@dataclass(frozen=True)
class RejectedMessage:
    """A message that is no report, or not the one that it says: as it came, and why.

    `received_at` is the broker's time in ms since 1970.
    """

    reason: str
    detail: str
    partition: int
    offset: int
    received_at: int
    key: bytes | None
    value: bytes | None


@dataclass
class Decoded:
    """What messages of one partition hold, up to a chunk of them.

    `lines`: the reports as JSON, in one form whatever the drone's was. `offsets` and `received_at` (ms) are those of
    `lines`, item by item; `hours` their event hours.
    """

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
        return self.messages >= CHUNK or self.size >= CHUNK_BYTES or len(self.hours) >= CHUNK_HOURS

    def take(
        self,
        records: Sequence[Any],
        window: Window,
        nearest: Nearest,
        opens_at: datetime = EARLIEST,
        start: int = 0,
    ) -> int:
        """Adds Kafka's `records` from the position `start` on until it is full; the position after the last one added.

        Reports of before `opens_at` are too old. Raises nothing, whatever is in the messages.
        """
        timestamp, received_at, latest = -1, EARLIEST, EARLIEST
        earliest = max(EARLIEST, opens_at)
        hours, look = self.hours, window.look
        add_line, add_offset, add_time = self.lines.append, self.offsets.append, self.received_at.append
        end = min(len(records), start + CHUNK - self.messages)
        for position in range(start, end):
            if self.size >= CHUNK_BYTES or len(hours) >= CHUNK_HOURS:
                end = position
                break
            record = records[position]
            if record.timestamp != timestamp:
                timestamp = record.timestamp
                received_at = datetime.fromtimestamp(timestamp / 1000, UTC)
                latest = received_at + MAX_AHEAD
            value = record.value
            try:
                report = _decoder.decode(value)
                battery = report.battery
                # what is normal already is not made so again: `normal` has the same condition
                if report.reported_at.tzinfo is not UTC or not battery or int(battery * 1000 + 0.5) / 1000 != battery:
                    report = normal(report)
                usable = earliest <= report.reported_at <= latest and len(value) <= LARGEST
            except Exception:  # noqa: BLE001 - garbage makes a parser raise anything; the slow way says what it is
                usable = False
            if not usable:
                checked = _report_or_rejected(record, received_at, earliest)
                if isinstance(checked, RejectedMessage):
                    self._reject(checked)
                    continue
                report = checked
            if report.city is None or report.country is None:
                city, country = place(report, nearest)
                report = msgspec.structs.replace(report, city=city, country=country)
            line = _encode(report)
            since = report.reported_at - EARLIEST
            reported_ms = since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
            verdict = look((report.drone_id, report.report_id, reported_ms), hash(line), record.offset)
            if verdict is NEW:
                add_line(line)
                add_offset(record.offset)
                add_time(timestamp)
                hours.add(reported_ms // _HOUR_MS)
                self.size += len(value)
            else:
                self._drop(verdict, record, report)
        self.messages += end - start
        return end

    def _drop(self, verdict: Verdict, record: Any, report: Report) -> None:
        if verdict is Verdict.DUPLICATE:
            self.duplicates += 1
        else:
            self._reject(_conflicting(record, report))

    def _reject(self, message: RejectedMessage) -> None:
        self.rejected.append(message)
        self.size += len(message.value or b"")


def content(report: Report) -> int:
    """A hash of all that a report says, the same for this process only."""
    return hash(_encode(report))


def rows(decoded: Decoded, topic_id: str, partition: int) -> pa.Table:
    """The landed rows (fleet.reports.landed.SCHEMA) of what is decoded, in the order of their offsets."""
    count = len(decoded.lines)
    if not count:
        return SCHEMA.empty_table()
    wire = _read(b"\n".join(decoded.lines))
    if wire.num_rows != count:
        raise AssertionError(f"Arrow read {wire.num_rows} rows of {count} reports")
    columns = {name: wire[name] for name in wire.schema.names}
    columns |= {
        "reported_country": pa.nulls(count, pa.string()),
        "reported_city": pa.nulls(count, pa.string()),
        "received_at": pa.array(np.array(decoded.received_at, dtype="int64") * 1000).cast(_type("received_at")),
        "topic_id": pa.repeat(topic_id, count),
        "kafka_partition": pa.repeat(pa.scalar(partition, pa.int32()), count),
        "kafka_offset": pa.array(decoded.offsets, pa.int64()),
    }
    columns |= derived(wire)
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA).combine_chunks()


def derived(wire: pa.Table) -> dict[str, Any]:
    """The columns of the lake that derive from those of the report; `fleet.reports.landed` says what they are."""
    reported_us = wire["reported_at"].cast(pa.int64()).to_numpy()
    hours = reported_us // _HOUR_US
    milli = pc.round(pc.multiply(wire["battery"], 1000.0), round_mode="half_to_even").cast(pa.int32())
    citizens = wire["citizens"].combine_chunks()
    return {
        "date": pa.array((hours // 24).astype("int32")).cast(pa.date32()),
        "hour": pa.array((hours % 24).astype("int32")),
        "event_hour": pa.array(hours.astype("int32")),
        "alert_count": wire["alert"].cast(pa.int32()),
        "battery_millipercent": milli,
        "low_battery_count": pc.less(milli, LOW_MILLIPERCENT).cast(pa.int32()),
        "last_state": pa.array((reported_us // 1000) << BATTERY_BITS | milli.to_numpy()),
        **_of_citizens(citizens.offsets.to_numpy(), citizens.values.field("peace_score").to_numpy()),
    }


def _of_citizens(offsets: Any, scores: Any) -> dict[str, Any]:
    """Count, sum and lowest of the scores between neighbouring offsets; 0 where there are none."""
    first, end = offsets[:-1], offsets[1:]
    sums = np.concatenate([[0], np.cumsum(scores, dtype="int64")])
    worst = np.zeros(len(first), dtype="int32")
    some = end > first
    if some.any():
        worst[some] = np.minimum.reduceat(scores, first[some])
    return {
        "citizen_count": pa.array((end - first).astype("int32")),
        "peace_score_sum": pa.array((sums[end] - sums[first]).astype("int32")),
        "worst_score": pa.array(worst),
    }


def _report_or_rejected(record: Any, received_at: datetime, opens_at: datetime) -> Report | RejectedMessage:
    """The report by the definition that everybody shares, or why the message is none, or comes too late."""
    value = record.value
    if value is not None and len(value) > LARGEST:
        reason, detail = "too large", f"{len(value)} bytes; landing takes {LARGEST}, and keeps the first of them here"
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


def _read(lines: bytes) -> pa.Table:
    return pyarrow.json.read_json(
        pa.BufferReader(lines),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_WIRE, unexpected_field_behavior="error"),
    )


def _type(name: str) -> Any:
    return SCHEMA.field(name).type
