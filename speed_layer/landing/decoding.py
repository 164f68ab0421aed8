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
from speed_layer.landing.deduplication import Window

LARGEST: Final = 1024 * 1024
"""Bytes of a report's message; the topic's own limit here. An outside topic may take more, landing does not."""

_HOUR_US: Final = 3600 * 1_000_000
_decoder: Final = msgspec.json.Decoder(Report)
_encoder: Final = msgspec.json.Encoder()
_WIRE: Final = pa.schema([SCHEMA.field(name) for name in Report.__struct_fields__])


@dataclass(frozen=True)
class RejectedMessage:
    """A message that is no report: as it came, and why. `received_at` is the broker's time in ms since 1970."""

    reason: str
    detail: str
    partition: int
    offset: int
    received_at: int
    key: bytes | None
    value: bytes | None


@dataclass
class Decoded:
    """What messages of one partition hold. `offsets` and `received_at` (ms) are those of `reports`, item by item."""

    reports: list[Report] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    received_at: list[int] = field(default_factory=list)
    rejected: list[RejectedMessage] = field(default_factory=list)
    duplicates: int = 0
    size: int = 0  # bytes of the messages

    def take(self, records: Sequence[Any], window: Window, nearest: Nearest, opens_at: datetime = EARLIEST) -> None:
        """Adds Kafka's `records`; reports of before `opens_at` are too old. Raises nothing, whatever is in them."""
        timestamp, received_at, latest = -1, EARLIEST, EARLIEST
        earliest = max(EARLIEST, opens_at)
        for record in records:
            if record.timestamp != timestamp:
                timestamp = record.timestamp
                received_at = datetime.fromtimestamp(timestamp / 1000, UTC)
                latest = received_at + MAX_AHEAD
            value = record.value
            try:
                report = normal(_decoder.decode(value))
                usable = earliest <= report.reported_at <= latest and len(value) <= LARGEST
            except Exception:  # noqa: BLE001 - garbage makes a parser raise anything; the slow way says what it is
                usable = False
            if not usable:
                slowly = _report_or_reject(record, received_at, earliest)
                if isinstance(slowly, RejectedMessage):
                    self.rejected.append(slowly)
                    self.size += len(slowly.value or b"")
                    continue
                report = slowly
            if window.is_duplicate(report.drone_id, report.report_id, record.offset):
                self.duplicates += 1
                continue
            if report.city is None or report.country is None:
                city, country = place(report, nearest)
                report = msgspec.structs.replace(report, city=city, country=country)
            self.reports.append(report)
            self.offsets.append(record.offset)
            self.received_at.append(timestamp)
            self.size += len(value)


def rows(decoded: Decoded, topic_id: str, partition: int) -> pa.Table:
    """The landed rows (fleet.reports.landed.SCHEMA) of what is decoded, in the order of their offsets."""
    count = len(decoded.reports)
    if not count:
        return SCHEMA.empty_table()
    wire = _read(_encoder.encode_lines(decoded.reports))
    if wire.num_rows != count:
        raise AssertionError(f"Arrow read {wire.num_rows} rows of {count} reports")
    columns = {name: wire[name] for name in wire.schema.names}
    columns |= {
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


def _report_or_reject(record: Any, received_at: datetime, opens_at: datetime) -> Report | RejectedMessage:
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


def _read(lines: bytes) -> pa.Table:
    return pyarrow.json.read_json(
        pa.BufferReader(lines),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_WIRE, unexpected_field_behavior="error"),
    )


def _type(name: str) -> Any:
    return SCHEMA.field(name).type
