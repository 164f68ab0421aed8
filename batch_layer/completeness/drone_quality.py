"""Reports received and expected by drone: drones that were expected and did not report, and those to look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pymongo.client_session import ClientSession

from batch_layer.drone_register import Register
from batch_layer.views.blocks import unpack
from infra.mongo.client import Documents
from infra.mongo.session import at_one_instant
from infra.mongo.view_parts import contents

MINUTES_OF_DAY: Final = 1440
SEEN_WITHIN: Final = timedelta(days=7)
"""A drone that was seen within this time before is expected to report once a minute all day; a new one from its first
report on."""
LISTED: Final = 10


def of_day(database: Documents, day: date, register: Register | None = None) -> dict[str, Any]:
    """expected, silent, with_gaps, unregistered (numbers); worst_batteries, longest_gaps (at most LISTED drones each).

    With a register its drones of the day are expected, and no others: those are counted as unregistered.
    """
    today = _drones(database, day, day, everything=True)
    known = register.expected(day) if register else _seen_lately(database, day)
    is_known = pc.is_in(today["drone_id"], known)
    end = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) + MINUTES_OF_DAY * 60_000
    since_first = pc.divide(pc.subtract(end - 1, today["first_at"]), 60_000)
    due = pc.if_else(is_known, MINUTES_OF_DAY, 0 if register else pc.add(since_first, 1))
    silent = len(known) - (pc.sum(is_known).as_py() or 0)
    today = today.append_column("gap_minutes", pc.max_element_wise(pc.subtract(due, today["minutes"]), 0))
    return {
        "expected": (pc.sum(due).as_py() or 0) + silent * MINUTES_OF_DAY,
        "silent": silent,
        "unregistered": pc.sum(pc.invert(is_known)).as_py() or 0 if register else 0,
        "with_gaps": pc.sum(pc.greater(today["gaps"], 0)).as_py() or 0,
        "worst_batteries": _listed(today, ("last_battery", "ascending")),
        "longest_gaps": _listed(today, ("gap_minutes", "descending")),
    }


def _seen_lately(database: Documents, day: date) -> pa.Array:
    before = _drones(database, day - SEEN_WITHIN, day - timedelta(days=1), everything=False)
    return pc.unique(before["drone_id"])


def _listed(drones: pa.Table, order: tuple[str, str]) -> list[dict[str, Any]]:
    chosen = drones.take(pc.select_k_unstable(drones, LISTED, sort_keys=[order, ("drone_id", "ascending")]))
    return [
        {
            "drone_id": row["drone_id"],
            "country": row["country"],
            "battery": row["last_battery"] / 1000,
            "reports": row["reports"],
            "gap_minutes": row["gap_minutes"],
            "last": datetime.fromtimestamp(row["last_at"] / 1000, UTC),
        }
        for row in chosen.to_pylist()
    ]


def _drones(database: Documents, first: date, last: date, *, everything: bool) -> pa.Table:
    wanted = {"day": {"$gte": first.isoformat(), "$lte": last.isoformat()}}
    fields = ["last", "rest"] if everything else ["last"]
    nothing = _EMPTY if everything else _EMPTY.select(["drone_id"])

    def read(session: ClientSession) -> pa.Table:
        chosen = dict.fromkeys([*fields, "version", "parts"], True)
        found = database.drone_days.find(wanted, chosen, session=session).sort("_id")
        packed = (part for document in found for part in contents(database, "drone_days", document, session, fields))
        return pa.concat_tables([nothing, *(_unpacked(part, nothing.schema.names) for part in packed)])

    return at_one_instant(database, read)


def _unpacked(part: Mapping[str, Any], columns: list[str]) -> pa.Table:
    drones = unpack(part["last"])
    rest = unpack(part["rest"]) if "rest" in part else drones.select([])
    for name in rest.schema.names:
        drones = drones.append_column(name, rest[name])
    return drones.select(columns)


_EMPTY: Final = pa.schema(
    [
        *(("drone_id", pa.string()), ("country", pa.string()), ("last_battery", pa.int64()), ("last_at", pa.int64())),
        *(("reports", pa.int64()), ("minutes", pa.int64()), ("gaps", pa.int64()), ("first_at", pa.int64())),
    ]
).empty_table()
