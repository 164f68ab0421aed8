"""Single reports of a day, straight from the lake: for looking at one drone or one place, never for figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from fleet.errors import BadInput, ServiceUnavailable
from fleet.reports.sealed import sealed_through

COLUMNS: Final = (
    *("report_id", "drone_id", "reported_at", "latitude", "longitude", "battery"),
    *("country", "city", "worst_score", "alert", "message"),
)

TABLE: Final = "reports"


@dataclass(frozen=True)
class Found:
    """Rows of COLUMNS in order of time, and the version of the table they were read at; -1: there is no table yet."""

    rows: list[dict[str, Any]]
    version: int


def reports(lake: str | None, day: date, wanted: dict[str, str], most: int) -> Found:
    """At most `most` reports of the UTC day with the values of `wanted` (column to text), the latest ones.

    Reads the files of the day only; of files that compaction sorted by drone only the part of a drone.
    Raises BadInput for a sealed day, ServiceUnavailable when the lake cannot be read.
    """
    if lake is None:
        raise ServiceUnavailable("this server was started without a lake to read single reports from")
    try:
        table = DeltaTable(f"{lake}/{TABLE}")
        files = table.file_uris(file_pruning_predicate=[("date", "=", day.isoformat())])
        if not files:
            _refuse_sealed(table, day)
            return Found([], table.version())
        rows = _dataset(table, files).to_table(columns=list(COLUMNS), filter=_filter(wanted))
        rows = rows.sort_by([("reported_at", "ascending"), ("report_id", "ascending")])
        return Found(rows.slice(max(0, rows.num_rows - most)).to_pylist(), table.version())
    except TableNotFoundError:
        return Found([], -1)
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise ServiceUnavailable(f"the lake cannot be read now: {type(error).__name__}") from error


def _refuse_sealed(table: DeltaTable, day: date) -> None:
    """Nothing found must not read as nothing flown."""
    through = sealed_through(table.metadata().configuration)
    if through is not None and day <= through:
        raise BadInput("date", f"{day} is sealed: its reports have left the lake, its figures stay")


def _dataset(table: DeltaTable, files: list[str]) -> ds.Dataset:
    """`files` of the table; those on S3 through deltalake's store, which alone reads all of the `AWS_*` variables."""
    if "://" not in files[0]:
        return ds.dataset(files, format="parquet")
    root = f"{table.table_uri.rstrip('/')}/"
    store = fs.PyFileSystem(DeltaStorageHandler.from_table(table._table))
    return ds.dataset([file.removeprefix(root) for file in files], format="parquet", filesystem=store)


def _filter(wanted: dict[str, str]) -> Any:
    conditions = [pc.field(column) == text for column, text in wanted.items()]
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = whole & condition
    return whole
