"""The last state of each drone: one row a drone, the same from any order and grouping of its reports.

Landing keeps it in MongoDB's `drone_blocks` (speed_layer/landing/last_states.py). If two blocks have one drone, as
after a topic was created again, the larger `last_state` counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa

SCHEMA: Final = pa.schema(
    [
        ("drone_id", pa.string()),
        ("last_state", pa.int64()),  # fleet.reports.landed.last_state: time, then battery
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("country", pa.string()),
        ("city", pa.string()),
        ("worst_score", pa.int32()),  # of the last report; 0: saw nobody
        ("alert", pa.bool_()),
    ]
)
"""Sorted by drone_id, each once."""


def merge(parts: Iterable[pa.Table]) -> pa.Table:
    """The last states of all drones of `parts`, which have the columns of SCHEMA in any order."""
    rows = pa.concat_tables([SCHEMA.empty_table(), *(part.select(SCHEMA.names).cast(SCHEMA) for part in parts)])
    if not rows.num_rows:
        return rows
    rows = rows.sort_by([("drone_id", "ascending"), ("last_state", "ascending")]).combine_chunks()
    drones = rows["drone_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    is_last = np.append(drones[1:] != drones[:-1], True)
    return rows.filter(pa.array(is_last)).combine_chunks()
