"""Whether the lake's store does what Delta needs: of two commits of one version it refuses the second.

A version is a file of the log, and the first writer makes it (`If-None-Match: *`). A store that ignores the condition
lets a second writer replace the file, and the first one's reports are lost silently. So it is tried on a separate table
before a lake is created there.
"""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import pyarrow as pa
import pyarrow.fs
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.fs import DeltaStorageHandler

from fleet.errors import ServiceUnavailable
from infra.object_store import errors

_FOLDER: Final = "_probe"
_ROUNDS: Final = 8
"""A commit reads the log before it writes. If the second reads before the first has written, as it does in most rounds,
only the store can refuse it."""

_SECONDS: Final = 60.0
_SCHEMA: Final = pa.schema([("n", pa.int64())])


def require_conditional_writes(lake: str, options: dict[str, str] | None = None) -> None:
    """Raises ServiceUnavailable if the store of `lake` does not refuse, or cannot be written. Folders always
    refuse. `options`: those of deltalake's store."""
    if "://" not in lake:
        return
    url = f"{lake}/{_FOLDER}/{uuid.uuid4()}"
    with errors():
        table = DeltaTable.create(url, _SCHEMA, storage_options=options)
        try:
            if any(_both_win(url, entry, options) for entry in range(_ROUNDS)):
                raise ServiceUnavailable(
                    f"the store of {lake} lets a commit replace another one: it does not know conditional writes"
                    " (If-None-Match), which a lake cannot do without"
                )
        finally:
            _remove(table, options)


def _both_win(url: str, entry: int, options: dict[str, str] | None) -> bool:
    """Whether two commits that set one `txn` entry, at the same moment from the same version, both succeed."""
    ready = threading.Barrier(2)

    def commit(table: DeltaTable) -> bool:
        properties = CommitProperties(app_transactions=[Transaction("probe", entry)])
        ready.wait(_SECONDS)
        try:
            table.create_write_transaction([], "append", table.schema(), [], commit_properties=properties)
        except CommitFailedError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        return all(pool.map(commit, [DeltaTable(url, storage_options=options) for _ in range(2)]))


def _remove(table: DeltaTable, options: dict[str, str] | None) -> None:
    files = pyarrow.fs.PyFileSystem(DeltaStorageHandler(table.table_uri, options))
    with suppress(OSError, DeltaError):
        for file in files.get_file_info(pyarrow.fs.FileSelector("_delta_log")):
            files.delete_file(file.path)
