"""The documents of sealed days, kept in the lake itself: with their reports gone, nobody can compute them again.

A day is one file of BSON, zstd, below `_sealed/` in the table's folder: Delta leaves alone what begins so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import bson
import pyarrow as pa
import pyarrow.fs
from bson.codec_options import CodecOptions
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from pymongo.client_session import ClientSession

from batch_layer import sealed
from batch_layer.database import Documents
from batch_layer.ranges import hours_of_day
from batch_layer.snapshot import Snapshot, sentence
from fleet.errors import ServiceUnavailable
from fleet.landed import hour_name

FOLDER: Final = "_sealed"
_ENDING: Final = ".bson.zst"
_OPTIONS: Final = CodecOptions[dict[str, Any]](tz_aware=True)
_BY_DAY: Final = ("city_days", "place_days", "delay_days", "copies", "completeness")
"""Views with a document a day. `drones_by_day` is none: it is counted from all days' drones whenever one changes."""


def collect(database: Documents, day: date, session: ClientSession) -> list[dict[str, Any]]:
    """The day's documents, {view, document} each, as `session` sees them."""
    name, hours = day.isoformat(), [hour_name(hour) for hour in hours_of_day(day)]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("hours", {"_id": {"$in": hours}}),
        ("drone_days", {"day": name}),
        *((view, {"_id": name}) for view in _BY_DAY),
    ]
    return [
        {"view": view, "document": document}
        for view, wanted in asked
        for document in database[view].find(wanted, session=session).sort("_id")
    ]


def write(snapshot: Snapshot, day: date, documents: list[dict[str, Any]]) -> int:
    """Writes the day's file; its bytes. Raises ServiceUnavailable."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        for document in documents:
            packed.write(bson.encode(document))
    content = sink.getvalue().to_pybytes()
    handler: Any = DeltaStorageHandler(snapshot.root)._handler  # pyarrow's stream over it hands it no bytes
    try:
        out = handler.open_output_stream(_path(day), None)
        out.write(content)
        out.close()
    except (DeltaError, OSError) as error:
        raise ServiceUnavailable(f"the lake cannot be written: {sentence(error)}") from None
    return len(content)


def restore(database: Documents, snapshot: Snapshot) -> int:
    """Puts back the documents of sealed days that the database does not know as sealed; how many days.

    A day's documents and its mark are one transaction: whoever drops them drops both. Raises ServiceUnavailable.
    """
    if snapshot.sealed_through is None:
        return 0
    being_sealed = sealed.with_files(snapshot, snapshot.sealed_through)
    missing = sorted(set(_days(snapshot)) - sealed.marked(database) - set(being_sealed))
    for day in missing:
        mark = {"view": "sealed", "document": {"_id": day.isoformat(), "version": snapshot.version}}
        _put(database, [*_read(snapshot, day), mark])
    return len(missing)


def _put(database: Documents, documents: list[dict[str, Any]]) -> None:
    def commit(session: ClientSession) -> None:
        for each in documents:
            document = each["document"]
            database[each["view"]].replace_one({"_id": document["_id"]}, document, upsert=True, session=session)

    with database.client.start_session() as session:
        session.with_transaction(commit)


def _days(snapshot: Snapshot) -> Iterator[date]:
    wanted = pyarrow.fs.FileSelector(FOLDER, allow_not_found=True)
    for found in snapshot.store.get_file_info(wanted):
        name = found.path.rpartition("/")[2]
        if name.endswith(_ENDING):
            yield date.fromisoformat(name.removesuffix(_ENDING))


def _read(snapshot: Snapshot, day: date) -> list[dict[str, Any]]:
    try:
        with snapshot.store.open_input_file(_path(day)) as file, pa.CompressedInputStream(file, "zstd") as packed:
            return bson.decode_all(packed.read(), _OPTIONS)
    except (OSError, DeltaError, pa.ArrowException, bson.errors.InvalidBSON) as error:
        raise ServiceUnavailable(f"a sealed day's file cannot be read: {_path(day)}: {sentence(error)}") from None


def _path(day: date) -> str:
    return f"{FOLDER}/{day.isoformat()}{_ENDING}"
