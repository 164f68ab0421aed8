"""Single reports of a day, straight from the lake: to look at one drone or one place, never for figures.

Memory is bounded whatever is in the lake: the latest hours are read first, and only as many as are needed; a second
pass reads the long texts of the chosen reports, a few at a time, and cuts them.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from fleet.errors import BadInput, ServiceUnavailable
from fleet.reports.sealed import sealed_through
from infra import lake_rows
from infra.delta import known
from infra.s3 import fresh_keys

TABLE: Final = "reports"
MESSAGE: Final = "message"

COLUMNS: Final = (
    *("report_id", "drone_id", "reported_at", "latitude", "longitude", "battery"),
    *("country", "city", "worst_score", "alert"),
)
"""All but the message: none of these is longer than 200 characters (fleet/reports/report.py)."""

PLACE: Final = ("kafka_partition", "kafka_offset")
"""Where a report came from; identifies its row in the second pass."""

ORDER: Final = [("reported_at", "ascending"), ("report_id", "ascending")]

MESSAGES_AT_ONCE: Final = 16
"""Rows of a batch with messages, each of which may be as large as Kafka takes: 1 MiB."""

MAX_TEXT: Final = 8 * 2**20
"""Characters of all messages of an answer together."""

MAX_MESSAGE: Final = 2000
"""Characters of a message in a list; few are longer, and a report's page has the whole."""

_READERS: Final = threading.BoundedSemaphore(2)
"""Requests that read at once. Each holds a page of Parquet, whose size its writer chose."""

WAIT_SECONDS: Final = 20
"""How long a request waits for other readers: as long as MongoDB's answers may take."""

_HOUR: Final = re.compile(r"/hour=(\d{1,2})/")


@dataclass(frozen=True)
class Found:
    """Rows of COLUMNS and `message` in order of time, and the version of the table; -1: there is no table yet.

    `message_cut` of a row: how many characters of its message are missing here.
    """

    rows: list[dict[str, Any]]
    version: int


def reports(lake: str | None, day: date, wanted: dict[str, str], most: int) -> Found:
    """At most `most` reports of the UTC day with the values of `wanted` (column to text), the latest ones.

    Messages are cut to MAX_MESSAGE characters, or fewer if there are many rows; a report that is requested by drone
    and id has its whole message. Raises BadInput for a sealed day, ServiceUnavailable when the lake cannot be read.
    """
    if lake is None:
        raise ServiceUnavailable("this server was started without a lake to read single reports from")
    if not _READERS.acquire(timeout=WAIT_SECONDS):
        raise ServiceUnavailable("other single reports are being read; retry later")
    try:
        fresh_keys(lake)
        table = known(DeltaTable(f"{lake}/{TABLE}"))
        files = lake_rows.paths(table, day)
        if not files:
            _refuse_sealed(table, day)
            return Found([], table.version())
        names_one = {"drone_id", "report_id"} <= wanted.keys()
        rows = _latest(table, files, _filter(wanted), most)
        longest = MAX_TEXT // max(1, len(rows)) if names_one else min(MAX_MESSAGE, MAX_TEXT // max(1, len(rows)))
        return Found(_with_messages(table, files, rows, longest), table.version())
    except TableNotFoundError:
        return Found([], -1)
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise ServiceUnavailable(f"the lake cannot be read now: {type(error).__name__}") from error
    finally:
        _READERS.release()


def _refuse_sealed(table: DeltaTable, day: date) -> None:
    """Raises BadInput if the day is sealed: an empty answer would mean that no drone flew."""
    through = sealed_through(table.metadata().configuration)
    if through is not None and day <= through:
        raise BadInput("date", f"{day} is sealed: its reports have left the lake, its figures stay")


def _latest(table: DeltaTable, files: Sequence[str], condition: Any, most: int) -> pa.Table:
    """The latest `most` rows without their messages, in ORDER: hour by hour from the latest, until there are enough."""
    latest: pa.Table | None = None
    for of_hour in _by_hour(files):
        parts = [latest] if latest is not None else []
        for batch in lake_rows.batches(table, of_hour, (*COLUMNS, *PLACE), condition):
            parts.append(pa.Table.from_batches([batch]))
            if sum(part.num_rows for part in parts) > most + lake_rows.ROWS_AT_ONCE:
                parts = [_newest(pa.concat_tables(parts), most)]
        latest = _newest(pa.concat_tables(parts), most) if parts else None
        if latest is not None and latest.num_rows >= most:
            break
    return latest if latest is not None else pa.table({name: [] for name in (*COLUMNS, *PLACE)})


def _newest(rows: pa.Table, most: int) -> pa.Table:
    rows = rows.sort_by(ORDER)
    return rows.slice(max(0, rows.num_rows - most)).combine_chunks()


def _with_messages(table: DeltaTable, files: Sequence[str], rows: pa.Table, longest: int) -> list[dict[str, Any]]:
    """`rows` with their messages, each cut to `longest` characters."""
    messages: list[dict[str, Any]] = rows.to_pylist()
    by_place = {tuple(row.pop(name) for name in PLACE): row for row in messages}
    if not messages:
        return messages
    hours = {row["reported_at"].hour for row in messages}
    of_hours = [file for file in files if (hour := _hour(file)) is None or hour in hours]
    offsets = pa.array(sorted({offset for _, offset in by_place}), pa.int64())
    condition = pc.field("kafka_offset").isin(offsets)
    for batch in lake_rows.batches(table, of_hours, (*PLACE, MESSAGE), condition, MESSAGES_AT_ONCE):
        lengths = pc.utf8_length(batch.column(MESSAGE)).to_pylist()
        texts = pc.utf8_slice_codeunits(batch.column(MESSAGE), 0, longest).to_pylist()
        places = zip(*(batch.column(name).to_pylist() for name in PLACE), strict=True)
        for place, text, length in zip(places, texts, lengths, strict=True):
            if (row := by_place.get(place)) is not None:
                row |= {MESSAGE: text, "message_cut": max(0, length - longest)}
    return [row if MESSAGE in row else {**row, MESSAGE: "", "message_cut": 0} for row in messages]


def _by_hour(files: Sequence[str]) -> Iterator[list[str]]:
    """The files of each hour, the latest hour first; all at once if a name does not contain its hour."""
    hours: dict[int, list[str]] = defaultdict(list)
    for file in files:
        hour = _hour(file)
        if hour is None:
            yield list(files)
            return
        hours[hour].append(file)
    for hour in sorted(hours, reverse=True):
        yield hours[hour]


def _hour(file: str) -> int | None:
    match = _HOUR.search(file)
    return int(match[1]) if match else None


def _filter(wanted: dict[str, str]) -> Any:
    conditions = [pc.field(column) == text for column, text in wanted.items()]
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = whole & condition
    return whole
