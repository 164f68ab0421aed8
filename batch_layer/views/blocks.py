"""Drone days as stored in MongoDB: in compressed blocks, since 540,000 small documents take a minute to write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from bson import Binary

from batch_layer.views import drone_days
from fleet.figures.drone_blocks import BLOCKS, block_of
from infra.mongo.cells import DOCUMENT_BYTES, divide
from infra.mongo.packed import pack, unpack
from infra.mongo.view_parts import Divided

__all__ = ["BLOCKS", "block_of", "documents", "groups", "pack", "rows", "unpack"]

_LAST: Final = ["drone_id", "last_at", "last_battery", "country"]
"""The columns for counting, in a field of their own, so that counting 30 days reads nothing else."""

GROUP_BYTES: Final = 4 * 1024 * 1024
"""Blocks of a small fleet go to MongoDB together: a block of few drones takes less time than the way there and back.
Half of what one document may have, so that a group with its last block is of no more memory than the largest block."""


def documents(day: date, version: int, drones: pa.Table, most: int = DOCUMENT_BYTES) -> Iterator[Divided]:
    """The documents of a day's drones: drone d lies in block `block_of(d)`; every block is there, be it empty.

    A block of more than `most` bytes, before it is packed, is divided: what drones say may not pack at all.
    """
    numbers = pa.array([block_of(drone) for drone in drones["drone_id"].to_pylist()], pa.int32())
    for block in range(BLOCKS):
        part = drones.filter(pc.equal(numbers, block)).combine_chunks()
        document = {
            "_id": f"{day.isoformat()}/{block:02}",
            "day": day.isoformat(),
            "block": block,
            "version": version,
            "drones": part.num_rows,
        }
        yield Divided.of(document, [_packed(rows) for rows in divide(part, most)])


def groups(blocks: Iterable[Divided], most: int = GROUP_BYTES) -> Iterator[list[Divided]]:
    """The blocks in order, in lists that end with the block that takes them to `most` bytes, as they are packed."""
    group: list[Divided] = []
    size = 0
    for block in blocks:
        group.append(block)
        size += sum(len(packed) for part in (block.document, *block.others) for packed in _contents(part))
        if size >= most:
            yield group
            group, size = [], 0
    if group:
        yield group


def _contents(part: Mapping[str, Any]) -> list[bytes]:
    return [value for value in part.values() if isinstance(value, bytes)]


def rows(last: bytes, rest: bytes, state: bytes) -> pa.Table:
    """Rows of drone_days.ROWS out of what a document or a part has."""
    columns = {name: column for packed in (last, rest, state) for name, column in _columns(unpack(packed))}
    return pa.table({name: columns[name] for name in drone_days.ROWS.names}, schema=drone_days.ROWS)


def _columns(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    return zip(table.column_names, table.columns, strict=True)


def _packed(drones: pa.Table) -> dict[str, Binary]:
    others = [name for name in drone_days.SCHEMA.names if name not in _LAST]
    columns = {"last": _LAST, "rest": others, "state": drone_days.STATE.names}
    return {name: pack(drones.select(chosen)) for name, chosen in columns.items() if chosen[0] in drones.column_names}
