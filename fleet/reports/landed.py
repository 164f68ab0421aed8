"""A landed report: the columns of the lake's table `reports`, and how they derive from a report.

What statistics fold is derived here once, as flat integers: sums are exact in any order, and Spark never
opens `citizens`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

SCHEMA: Final = pa.schema(
    [
        # partitions of the table: the event's UTC date and hour
        pa.field("date", pa.date32(), nullable=False),
        pa.field("hour", pa.int32(), nullable=False),
        # the report as it came; country and city as they are counted, never null ("unknown")
        pa.field("report_id", pa.string(), nullable=False),
        pa.field("drone_id", pa.string(), nullable=False),
        pa.field("reported_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("latitude", pa.float64(), nullable=False),
        pa.field("longitude", pa.float64(), nullable=False),
        pa.field("battery", pa.float64(), nullable=False),
        pa.field(
            "citizens",
            pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("peace_score", pa.int32())])),
            nullable=False,
        ),
        pa.field("message", pa.string(), nullable=False),
        pa.field("alert", pa.bool_(), nullable=False),
        pa.field("country", pa.string(), nullable=False),
        pa.field("city", pa.string(), nullable=False),
        # the drone's own names, where others are counted (fleet.reports.counted_places); null: the same
        pa.field("reported_country", pa.string()),
        pa.field("reported_city", pa.string()),
        # where it came from: the broker's time, and its place in the topic
        pa.field("received_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("topic_id", pa.string(), nullable=False),
        pa.field("kafka_partition", pa.int32(), nullable=False),
        pa.field("kafka_offset", pa.int64(), nullable=False),
        # derived once, integers (docs/decisions/0004-one-definition-three-engines.md)
        pa.field("event_hour", pa.int32(), nullable=False),  # whole hours since 1970-01-01T00Z
        pa.field("alert_count", pa.int32(), nullable=False),  # 1 when alert, else 0
        pa.field("battery_millipercent", pa.int32(), nullable=False),  # battery * 1000, rounded half to even
        pa.field("low_battery_count", pa.int32(), nullable=False),  # 1 when battery < 20 %, else 0
        pa.field("citizen_count", pa.int32(), nullable=False),
        pa.field("peace_score_sum", pa.int32(), nullable=False),  # over citizens
        pa.field("worst_score", pa.int32(), nullable=False),  # lowest peace score, 0: saw nobody
        pa.field(
            "last_state", pa.int64(), nullable=False
        ),  # fleet.reports.landed.last_state: max = the drone's last report
    ]
)

PARTITION_BY: Final = ("date", "hour")

BATTERY_BITS: Final = 17
"""100,000 millipercent fit in 17 bits."""


def last_state(reported_at_ms: int, battery_millipercent: int) -> int:
    """Time and battery packed so that the largest is the drone's last state.

    Tie-break: of two reports of a drone in one millisecond, the one with the higher battery is the last.
    """
    return reported_at_ms << BATTERY_BITS | battery_millipercent


def unpack_last_state(packed: int) -> tuple[int, int]:
    """(reported_at in ms since 1970, battery in millipercent) of a packed last state."""
    return packed >> BATTERY_BITS, packed & (1 << BATTERY_BITS) - 1


def hour_name(event_hour: int) -> str:
    """`2026-11-24T08`, the name of an event hour, and the `_id` of its hour document."""
    return datetime.fromtimestamp(event_hour * 3600, UTC).strftime("%Y-%m-%dT%H")
