"""What landing writes apart from `live`: how far partitions are landed, and the last state of every drone."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Required, TypedDict

from infra.mongo.collection import Collection


class PositionDocument(TypedDict, total=False):
    """How far a partition is landed: for people only, since the table decides."""

    _id: Required[str]
    next_offset: int
    landed_through: datetime
    lost: list[list[int]]  # offsets [first, end) that were never landed


class DroneBlockDocument(TypedDict, total=False):
    """The last states of some drones of a partition: `block` is an Arrow stream, true up to `next_offset`."""

    _id: Required[str]
    next_offset: int
    written_at: datetime
    drones: int
    block: bytes


LANDING: Final = Collection("landing", 1, PositionDocument, "topic id and partition", "land")
DRONE_BLOCKS: Final = Collection(
    "drone_blocks", 2, DroneBlockDocument, "topic id, partition, bucket and, after the first, number", "land"
)
