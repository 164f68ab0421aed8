"""The last state of every drone, in MongoDB's `drone_blocks`: newest wins, whatever order reports come in.

540,000 drones that report once a minute are 9,000 upserts a second as documents of their own, more than a server takes.
Here a partition's drones are a few documents, each a compressed Arrow table, written every `BLOCK_SECONDS`:
`{_id: "<topic id>/<partition>/<bucket>", next_offset, written_at, drones, block}`. A bucket that is too large for one
document continues in `…/<bucket>/1` and so on. `block` is an Arrow IPC stream of
`STATE`; it covers the rows of the lake before `next_offset`. So a process that takes a partition over reads the blocks
and the rows of the lake after them, and nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
from bson.binary import Binary
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from structlog import get_logger

from fleet.reports.landed import SCHEMA
from infra.mongo import problems
from infra.mongo.cells import DOCUMENT_BYTES
from infra.mongo.packed import pack, unpack
from speed_layer.landing import metrics
from speed_layer.landing.commit import Lake

log = get_logger()

BLOCK_SECONDS: Final = 30.0
BUCKETS: Final = 8
"""Documents a partition, at least."""

STATE_BYTES: Final = 128 * 1024 * 1024
"""Of a partition's drones in memory: some 900,000 usual ones, or 50,000 whose names are as long as can be. Past it
those that were longest unseen are dropped, so that invented drones make way for those that report."""

FURTHEST_BACK: Final = 2_000_000
"""Offsets read from the lake if there is no block: at the mission's rate all that comes in 20 minutes."""

STATE: Final = pa.schema(
    [
        SCHEMA.field(name)
        for name in ("drone_id", "last_state", "latitude", "longitude", "country", "city", "alert", "worst_score")
    ]
)
"""`last_state` holds time and battery (`fleet.reports.landed.unpack_last_state`)."""


@dataclass(frozen=True)
class States:
    """The newest state of each drone in the rows with offsets `first` to `next_offset` of a partition."""

    topic_id: str
    partition: int
    first: int
    next_offset: int
    table: pa.Table

    @property
    def key(self) -> str:
        return f"{self.topic_id}/{self.partition}"


def newest(parts: Iterable[pa.Table]) -> pa.Table:
    """One row a drone, of all `parts` together: that with the highest `last_state`. Columns of STATE, by drone's first
    appearance."""
    table = pa.concat_tables([STATE.empty_table(), *(part.select(STATE.names).cast(STATE) for part in parts)])
    if not table.num_rows:
        return table
    codes = table["drone_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((table["last_state"].to_numpy(), codes))
    ends = np.append(np.flatnonzero(np.diff(codes[order])), len(order) - 1)
    return table.take(pa.array(order[ends]))


class LastStates:
    """Folds and writes them; for one thread. Raises PyMongoError and ServiceUnavailable, and may be asked again."""

    def __init__(self, database: Database[dict[str, Any]], lake: Lake, most: int = DOCUMENT_BYTES) -> None:
        """`most`: bytes of a block."""
        self._most = most
        self._database, self._blocks, self._lake = database, database["drone_blocks"], lake
        self._held: dict[str, States] = {}
        self._written: dict[str, int] = {}

    def add(self, states: States) -> None:
        """Later states of a partition, in the order of their offsets."""
        held = self._held.get(states.key)
        if held is None or held.next_offset != states.first:
            held = self._load(states)
        table = within(newest([held.table, states.table]), STATE_BYTES)
        self._held[states.key] = States(states.topic_id, states.partition, held.first, states.next_offset, table)

    def write(self) -> None:
        """Writes what changed since the last time. A partition that another process has landed further is let go."""
        for key, states in list(self._held.items()):
            if self._written.get(key) == states.next_offset:
                continue
            try:
                reason = problems.refusal(partial(self._replace, states))
            except DuplicateKeyError:
                log.info("last states of this partition are kept by another process now", partition=key)
                del self._held[key]
                continue
            if reason:
                log.error("last states refused; those of the other partitions go on", partition=key, reason=reason)
                metrics.REFUSED.labels("drone_blocks").inc()
                problems.note(self._database, f"last states of {key}", reason, datetime.now(UTC))
            self._written[key] = states.next_offset

    def _load(self, coming: States) -> States:
        """What is known up to `coming`: the blocks, and the rows of the lake after them."""
        blocks = [one for one in self._blocks.find({"_id": _below(coming.key)}) if one["drones"]]
        known = min((one["next_offset"] for one in blocks), default=0)
        first = max(known, coming.first - FURTHEST_BACK)
        self._lake.refresh()
        rows = self._lake.rows_between(coming.topic_id, coming.partition, first, coming.first, STATE.names)
        table = newest([*(unpack(one["block"]) for one in blocks), rows])
        return States(coming.topic_id, coming.partition, first, coming.first, table)

    def _replace(self, states: States) -> None:
        buckets = bucket_of(states.table["drone_id"])
        written_at = datetime.now(UTC)
        for bucket in range(BUCKETS):
            name = f"{states.key}/{bucket}"
            blocks = packed(states.table.filter(pa.array(buckets == bucket)), self._most)
            names = [name, *(f"{name}/{number}" for number in range(1, len(blocks)))]
            for one, (block, drones) in zip(names, blocks, strict=True):
                document = {
                    "next_offset": states.next_offset,
                    "written_at": written_at,
                    "drones": drones,
                    "block": Binary(block),
                }
                not_newer = {"_id": one, "next_offset": {"$lte": states.next_offset}}
                self._blocks.replace_one(not_newer, document, upsert=True)
            others = {"_id": {**_below(name), "$nin": names}, "next_offset": {"$lte": states.next_offset}}
            self._blocks.delete_many(others)


def bucket_of(drone_ids: pa.ChunkedArray) -> Any:
    """The bucket of each drone, by its id's last byte: the same for ever, and found without a loop."""
    ids = drone_ids.combine_chunks() if isinstance(drone_ids, pa.ChunkedArray) else drone_ids
    _, offsets, data = ids.buffers()
    ends = np.frombuffer(offsets, dtype="int32")[ids.offset + 1 : ids.offset + len(ids) + 1]
    return np.frombuffer(data, dtype="uint8")[ends - 1] % BUCKETS if len(ids) else np.empty(0, dtype="uint8")


def packed(table: pa.Table, most: int = DOCUMENT_BYTES) -> list[tuple[bytes, int]]:
    """Blocks of at most `most` bytes, each with its number of drones; one at least, and a single drone is one."""
    block = pack(table)
    if len(block) <= most or table.num_rows <= 1:
        return [(block, table.num_rows)]
    half = table.num_rows // 2
    return [*packed(table.slice(0, half), most), *packed(table.slice(half), most)]


def within(table: pa.Table, most: int) -> pa.Table:
    """The table, without those drones that were longest unseen where it takes more than `most` bytes."""
    if table.nbytes <= most or not table.num_rows:
        return table
    kept = max(1, table.num_rows * most // table.nbytes // 2)  # half, so that it is not full again at once
    metrics.FORGOTTEN.inc(table.num_rows - kept)
    log.warning("last states of drones longest unseen are dropped", dropped=table.num_rows - kept, kept=kept)
    return table.take(pc.select_k_unstable(table, kept, sort_keys=[("last_state", "descending")])).combine_chunks()


def _below(name: str) -> dict[str, str]:
    """The condition on `_id` for ids that begin with `name` and a slash; "0" is the character after it."""
    return {"$gte": f"{name}/", "$lt": f"{name}0"}
