"""The one reader of the lake's tables: a version with its files by event hour, its log, and what each commit did."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from fleet.bins import bins
from fleet.errors import PeacewatchError, ServiceUnavailable, Unreadable
from fleet.reports import landed, sealed, table_layout
from fleet.text import sentence

TABLE: Final = "reports"
ALERTS: Final = "alerts"

PLACE: Final = ("kafka_partition", "kafka_offset")
"""The columns whose statistics landing writes, for looking up rows. Each further column costs time in every commit."""

_EPOCH_DAY: Final = date(1970, 1, 1)
_LOG_NAME: Final = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")


class NothingLanded(PeacewatchError):
    """There is no lake yet."""


class LogGone(PeacewatchError):
    """The log of a commit was deleted, so what it touched is unknown."""


@dataclass(frozen=True)
class File:
    """A Parquet file of the table: `path` below the table's root, of one event hour; `size` in bytes."""

    path: str
    event_hour: int
    size: int
    rows: int | None


@dataclass(frozen=True)
class Commit:
    """A version of the table. `added`: the files with new rows, `files` the same with what the log says of them;
    `touched`: event hours whose rows changed; `takes_rows`: whether rows left the table with it.
    `entries`: its `txn` entries, the next offset by partition."""

    version: int
    committed_at: datetime
    added: tuple[str, ...]
    touched: frozenset[int]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    entries: Mapping[str, int] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    takes_rows: bool = False

    def fact(self, name: str, default: Any) -> Any:
        """A fact that landing wrote into this commit, from its JSON; `default` if there is none."""
        value = self.metadata.get(name)
        return default if value is None else msgspec.json.decode(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Snapshot:
    """The table pinned at `version`.

    `hours`: its files by event hour, in order. `sealed_through`: see fleet.reports.sealed.
    """

    root: str
    version: int
    lake_id: str
    created_at: datetime
    hours: Mapping[int, tuple[File, ...]]
    store: pyarrow.fs.FileSystem
    sealed_through: date | None = None
    schema: pa.Schema = landed.SCHEMA

    def uris(self, hours: Iterable[int]) -> list[str]:
        """The addresses of the files of `hours`, for Spark and others."""
        return [f"{self.root}/{file.path}" for hour in hours for file in self.hours.get(hour, ())]

    def size(self, hours: Iterable[int]) -> int:
        """Bytes of the files of `hours`."""
        return sum(file.size for hour in hours for file in self.hours.get(hour, ()))

    def portions(self, hours: Iterable[int], most: int) -> Iterator[list[int]]:
        """Those of `hours` that have files, in order, in groups of at most so many bytes; an hour is never divided."""
        there = sorted(set(hours) & self.hours.keys())
        return bins(there, lambda hour: self.size([hour]), most)

    def of_files(self, files: Iterable[File]) -> Snapshot:
        """This table with these files only; files of an earlier version may be among them."""
        hours: dict[int, list[File]] = {}
        for file in sorted(files, key=lambda file: (file.event_hour, file.path)):
            hours.setdefault(file.event_hour, []).append(file)
        return replace(self, hours={hour: tuple(found) for hour, found in hours.items()})

    def are_there(self, files: Iterable[File]) -> bool:
        """Whether all files exist: those that this version no longer has stay until a vacuum."""
        current = {file.path for of_hour in self.hours.values() for file in of_hour}
        others = [file.path for file in files if file.path not in current]
        with reading(others[0] if others else ""):
            found = self.store.get_file_info(others) if others else []
        return all(each.type == pyarrow.fs.FileType.File for each in found)

    def answers(self) -> bool:
        """Whether the store answers: then a file that cannot be read is damaged or gone."""
        try:
            log = self.store.get_file_info(f"_delta_log/{self.version:020}.json")
        except (OSError, DeltaError, pa.ArrowException):
            return False
        return bool(log.type == pyarrow.fs.FileType.File)

    def unreadable(self) -> list[str]:
        """Files (paths below the root) whose Parquet footer is missing or bad; to look after a failure."""
        bad = []
        for path in sorted({file.path for files in self.hours.values() for file in files}):
            try:
                pyarrow.parquet.read_metadata(path, filesystem=self.store)
            except (OSError, pa.ArrowInvalid):
                bad.append(path)
        return bad

    def rows(self, files: Iterable[str], columns: list[str]) -> pa.Table:
        """These columns of these files (paths below the root). Raises ServiceUnavailable when one is missing or bad."""
        options: dict[str, Any] = {"columns": columns, "filesystem": self.store, "partitioning": None}
        parts = [pa.schema([self.schema.field(name) for name in columns]).empty_table()]
        for path in files:
            with reading(path):
                parts.append(complete(pyarrow.parquet.read_table(path, **options), parts[0].schema))
        return pa.concat_tables(part.cast(parts[0].schema) for part in parts)

    def encoded(self, path: str, columns: list[str], repeating: Collection[str]) -> pa.Table:
        """These columns of one file, text of the Parquet columns `repeating` as dictionaries. Raises as `rows` does."""
        wanted = pa.schema([_encoded(self.schema.field(name), repeating) for name in columns])
        options: dict[str, Any] = {"filesystem": self.store, "partitioning": None, "read_dictionary": [*repeating]}
        with reading(path):
            rows = pyarrow.parquet.read_table(path, columns=columns, **options)
            return complete(rows, pa.schema([self.schema.field(name) for name in columns])).cast(wanted)

    def batches(self, path: str, columns: list[str], most: int) -> Iterator[pa.Table]:
        """These columns of one file, at most so many rows at a time. Raises as `rows` does."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        with reading(path), self.store.open_input_file(path) as opened:
            file = pyarrow.parquet.ParquetFile(opened)
            for batch in file.iter_batches(batch_size=most, columns=columns):
                yield complete(pa.Table.from_batches([batch]), schema).cast(schema)

    def commits(self, after: int) -> Iterator[Commit]:
        """The commits after version `after` up to this one, in order. Raises LogGone."""
        for version in range(after + 1, self.version + 1):
            yield self.commit(version)

    def commit(self, version: int) -> Commit:
        """Raises LogGone when the log no longer holds that version, ServiceUnavailable when it cannot be read."""
        return read_commit(self.store, version)

    def commits_left(self, after: int) -> list[Commit]:
        """The commits after version `after`, in order, without those that the log no longer holds."""
        first = min(after, self.version) + 1
        try:
            return list(self.commits(first - 1))
        except LogGone:  # millions may be gone: list what is there once, instead of trying each
            there = sorted(version for version, kind, _ in self.log_files() if kind == "json")
            return [self.commit(version) for version in there if first <= version <= self.version]

    def log_files(self) -> Iterator[tuple[int, str, str]]:
        """(version, json or checkpoint.parquet, path) of each file of the log that is still there."""
        for path in self.names("_delta_log"):
            name = _LOG_NAME.fullmatch(path.rpartition("/")[2])
            if name:
                yield int(name[1]), name[2], path

    def names(self, folder: str) -> list[str]:
        """The paths of the files in a folder below the root, in order; none if there is no such folder."""
        with reading(folder):
            wanted = pyarrow.fs.FileSelector(folder, allow_not_found=True)
            return sorted(file.path for file in self.store.get_file_info(wanted))


_TEXT_BY_PLACE: Final = pa.dictionary(pa.int32(), pa.string())


def _encoded(field: pa.Field, repeating: Collection[str]) -> pa.Field:
    """The field with text of the Parquet columns `repeating` as dictionaries."""

    def encoded(kind: pa.DataType, path: str) -> pa.DataType:
        if pa.types.is_struct(kind):
            return pa.struct([each.with_type(encoded(each.type, f"{path}.{each.name}")) for each in kind])
        if pa.types.is_list(kind):
            return pa.list_(kind.value_field.with_type(encoded(kind.value_type, f"{path}.list.element")))
        return _TEXT_BY_PLACE if path in repeating else kind

    return field.with_type(encoded(field.type, field.name))


def complete(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of one file with all columns of `schema`: pyarrow silently leaves out columns that the file lacks.

    A column that came later is null in older files. Raises pyarrow.ArrowInvalid for another that is not there.
    """
    for column in schema:
        if column.name not in rows.column_names:
            if not column.nullable:
                raise pa.ArrowInvalid(f"it has no column {column.name}")
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    return rows.select(schema.names)


def pin(lake: str, version: int | None = None, table: str = TABLE, schema: pa.Schema = landed.SCHEMA) -> Snapshot:
    """A table below `lake`, at its newest version or at `version`; raises as `open_table` does.

    A table with a partition a day and none an hour has a day's files under the first event hour of it.
    """
    return of_table(open_table(lake, version, table), schema)


def open_table(lake: str, version: int | None = None, table: str = TABLE) -> DeltaTable:
    """Raises NothingLanded when there is no table, NewerLayout when a newer version has written it, and
    ServiceUnavailable when it cannot be read.
    """
    try:
        return known(DeltaTable(f"{lake}/{table}", version=version))
    except TableNotFoundError:
        raise NothingLanded(f"there is no lake at {lake}: nothing has landed yet") from None
    except (DeltaError, OSError) as error:
        raise ServiceUnavailable(f"the lake at {lake} cannot be read: {sentence(error)}") from None


def known(table: DeltaTable) -> DeltaTable:
    """The table itself. Raises NewerLayout if it has a layout that this version does not know."""
    table_properties(table)
    return table


def table_properties(table: DeltaTable) -> Mapping[str, str | None]:
    """The table's properties. Raises NewerLayout if it has a layout that this version does not know."""
    found: Mapping[str, str | None] = table.metadata().configuration
    table_layout.require_known(found, table.table_uri.rstrip("/").rpartition("/")[2])
    return found


def with_columns(table: DeltaTable, schema: pa.Schema) -> DeltaTable:
    """The table with all columns of `schema`: an older version's lacks those that came later. Its files stay as they
    are: there the columns are null.
    """
    there = {column.name for column in table.schema().fields}
    if lacking := [column for column in Schema.from_arrow(schema).fields if column.name not in there]:
        try:
            table.alter.add_columns(lacking)
        except DeltaError:
            table.update_incremental()
            if {column.name for column in lacking} - {column.name for column in table.schema().fields}:
                raise  # no other process was faster
    return table


def of_table(table: DeltaTable, schema: pa.Schema = landed.SCHEMA) -> Snapshot:
    """The snapshot of a table that is open already."""
    hours: dict[int, list[File]] = {}
    metadata = table.metadata()
    for file in _files(table):
        hours.setdefault(file.event_hour, []).append(file)
    # Sorted, so that the same version is always read in the same order.
    ordered = {hour: tuple(sorted(hours[hour], key=lambda file: file.path)) for hour in sorted(hours)}
    return Snapshot(
        root=unquote(table.table_uri).removeprefix("file://").rstrip("/"),
        version=table.version(),
        lake_id=str(metadata.id),
        created_at=datetime.fromtimestamp((metadata.created_time or 0) / 1000, UTC),
        hours=ordered,
        store=pyarrow.fs.PyFileSystem(DeltaStorageHandler.from_table(table._table)),
        sealed_through=sealed.sealed_through(metadata.configuration),
        schema=schema,
    )


def event_hour(day: date, hour: int) -> int:
    """Whole hours since 1970 of a partition."""
    return (day - _EPOCH_DAY).days * 24 + hour


def _files(table: DeltaTable) -> Iterator[File]:
    wanted = ["path", "partition.date", "size_bytes", "num_records"]
    adds = pa.table(table.get_add_actions(flatten=True))
    if not adds.num_rows:
        return
    hours = adds["partition.hour"].to_pylist() if "partition.hour" in adds.column_names else [0] * adds.num_rows
    for hour, path, day, size, rows in zip(hours, *(adds[name].to_pylist() for name in wanted), strict=True):
        yield File(unquote(path), event_hour(day, hour), size, rows)


def files_between(table: DeltaTable, partition: int, first: int, end: int) -> list[str]:
    """Paths of the files that may hold rows of a Kafka partition with `first` <= offset < `end`, by their statistics.

    A file without statistics may hold any.
    """
    adds = pa.table(table.get_add_actions(flatten=True))
    if not adds.num_rows or first >= end:
        return []
    ranges = [adds[f"{side}.{name}"].to_pylist() for name in PLACE for side in ("min", "max")]
    return [
        unquote(path)
        for path, p_min, p_max, o_min, o_max in zip(adds["path"].to_pylist(), *ranges, strict=True)
        if o_max is None or (p_min <= partition <= p_max and first <= o_max and o_min < end)
    ]


def read_commit(store: pyarrow.fs.FileSystem, version: int) -> Commit:
    """A version from the log below `store`, a table's root. Raises LogGone and ServiceUnavailable."""
    path = f"_delta_log/{version:020}.json"
    with reading(path):
        try:
            opened = store.open_input_file(path)
        except FileNotFoundError:
            raise LogGone(f"the lake's log no longer holds version {version}") from None
        with opened as log:
            return _commit(version, [msgspec.json.decode(line) for line in log.read().splitlines() if line.strip()])


def _commit(version: int, actions: list[dict[str, Any]]) -> Commit:
    info: Mapping[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    added = [action["add"] for action in actions if action.get("add", {}).get("dataChange")]
    removed = [action["remove"] for action in actions if action.get("remove", {}).get("dataChange")]
    return Commit(
        version,
        datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC),
        tuple(sorted(unquote(add["path"]) for add in added)),
        frozenset(_hour_of(action["partitionValues"]) for action in [*added, *removed]),
        info,
        {action["txn"]["appId"]: int(action["txn"]["version"]) for action in actions if "txn" in action},
        tuple(File(unquote(add["path"]), _hour_of(add["partitionValues"]), add["size"], None) for add in added),
        bool(removed),
    )


def _hour_of(values: Mapping[str, str]) -> int:
    return event_hour(date.fromisoformat(values["date"]), int(values.get("hour", 0)))


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Raises Unreadable that names the file or folder, where the store or its content is at fault."""
    try:
        yield
    except (OSError, DeltaError, pa.ArrowException, msgspec.DecodeError) as error:
        raise Unreadable(f"a file of the lake cannot be read: {path}: {sentence(error)}", path) from None


def put(root: str, path: str, content: bytes) -> None:
    """Writes the file at `path` below a table's `root`, over one that is there. Raises what its store raises."""
    handler: Any = DeltaStorageHandler(root)._handler  # pyarrow's stream over it passes it no bytes
    out = handler.open_output_stream(path, None)
    out.write(content)
    out.close()
