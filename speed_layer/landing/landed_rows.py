"""Reports to rows of the lake, with Arrow: it reads all reports of a chunk again at once and without Python."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from fleet.reports.fields import LOW_MILLIPERCENT
from fleet.reports.landed import BATTERY_BITS, SCHEMA
from fleet.reports.report import Report
from speed_layer.landing.decoding import Decoded

_HOUR_US: Final = 3600 * 1_000_000
_WIRE: Final = pa.schema([SCHEMA.field(name) for name in Report.__struct_fields__])


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
    """Count, sum and lowest of the scores between neighbouring offsets; 0 if there are none."""
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


def _read(lines: bytes) -> pa.Table:
    return pyarrow.json.read_json(
        pa.BufferReader(lines),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_WIRE, unexpected_field_behavior="error"),
    )


def _type(name: str) -> Any:
    return SCHEMA.field(name).type
