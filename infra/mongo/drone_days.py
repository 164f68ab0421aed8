"""The collection `drone_days`: a UTC day of each drone, in compressed blocks of drones."""

from __future__ import annotations

from typing import Final, Required, TypedDict

from infra.mongo.collection import Collection


class BlockDocument(TypedDict, total=False):
    """A block. `last`, `rest` and `state` are Arrow streams with the same rows: what counting reads, the other columns,
    and what a run merges later reports with."""

    _id: Required[str]
    day: Required[str]
    block: Required[int]  # fleet.figures.drone_blocks
    version: Required[int]  # of the lake that it was computed at
    drones: Required[int]
    last: Required[bytes]
    rest: Required[bytes]
    state: bytes  # not there in documents of before the batch layer merged days
    parts: int  # if there are more than one: infra.mongo.view_parts


COLLECTION: Final = Collection("drone_days", 2, BlockDocument, "day and block: `2026-11-24/07`", "aggregate")
