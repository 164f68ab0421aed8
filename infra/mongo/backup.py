"""Backs up what cannot be computed from the lake, while everything runs, and restores it into an empty database.

`<location>/<time>-<random>/` holds `<collection>-<number>.bson.zst` of about CHUNK at most, files of the lake that no
run can recompute (nightly reports, the archives of sealed days, what only commits store) under `lake/`, and
`manifest.json`, written last: a backup without it is unfinished, and is not restored. No two backups share a name, so
several may be taken into one folder at once.

All collections are read at one instant. Views are not in it: `peacewatch aggregate` computes them from the lake, and
takes sealed days from their archives.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import bson
import msgspec
import pyarrow as pa
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from fleet.bins import bins
from fleet.errors import BadInput, PeacewatchError, ServiceUnavailable
from fleet.layout import refuse_newer
from fleet.text import sentence
from infra import locations
from infra.folder import Folder
from infra.mongo import layouts
from infra.mongo.client import Documents
from infra.mongo.session import SNAPSHOT_GONE, at_one_instant

KEPT: Final[Mapping[str, Mapping[str, Any]]] = {
    **{name: {} for name in ("alerts", "incidents", "deliveries", "actions", "recording", "reports_told")},
    **{name: {} for name in ("completeness", "losses", "landing_facts", "landing", "drone_blocks")},
    "runs": {"kind": "completeness", "state": "complete"},
}
"""Collections, and which of their documents. Of runs: up to which commit facts and losses are added up. `recording`:
where the recorder continues in Kafka, so that what came after the backup is recorded again. Marks of sealed days are
left out: the run that finds them missing restores the days' documents from the lake, and then marks them."""

LAKE_FOLDERS: Final = ("nightly", "reports/_sealed", "reports/_facts")
"""The lake's files that cannot be recomputed from its tables."""

LAKE_LOG: Final = "reports/_delta_log"
"""A lake has it from its first commit on."""

STAY: Final = frozenset({"layouts", "sessions"})
"""Collections whose documents do not stop a restore: the server of the pages may run, and people may sign in."""

CHUNK: Final = 32 * 1024 * 1024
"""Bytes of documents in a file before compression, which are held in memory at once."""

MANIFEST: Final = "manifest.json"
_SUFFIX: Final = ".bson.zst"
_OPTIONS: Final = CodecOptions[dict[str, Any]](tz_aware=True)


LAYOUT: Final = 1
"""Of the manifest and of the files' form; the documents in them have layouts of their own."""


class Manifest(msgspec.Struct):
    """`documents` by collection, `layouts` by collection, `files` with all paths, below the backup's own folder.

    `sha256` by path; backups before 0.2.0 was released have none, and have layout 1 without saying so.
    """

    made_at: datetime
    layouts: dict[str, int]
    documents: dict[str, int]
    files: list[str]
    layout: int = 1
    sha256: dict[str, str] = {}


@dataclass(frozen=True)
class Backup:
    """A finished backup: the folder `name` of `folder`."""

    folder: Folder
    name: str
    manifest: Manifest

    @property
    def many(self) -> int:
        return sum(self.manifest.documents.values())


def take(database: Documents, lake: Folder, to: Folder, now: datetime) -> Backup:
    """Raises PeacewatchErrors only, but for MongoDB's own."""
    _require_apart(lake, to)
    layouts.require(database)
    name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    files: dict[str, str] = {}
    documents = dict.fromkeys(KEPT, 0)

    def keep(path: str, content: bytes) -> None:
        to.write(f"{name}/{path}", content)
        files[path] = _hash(content)

    def write(session: ClientSession) -> None:
        files.clear()
        for collection, wanted in KEPT.items():
            documents[collection] = 0
            cursor = database[collection].find(wanted, session=session).sort("_id")
            for number, chunk in enumerate(bins(map(bson.encode, cursor), len, CHUNK)):
                keep(f"{collection}-{number:05}{_SUFFIX}", packed(chunk))
                documents[collection] += len(chunk)

    try:
        at_one_instant(database, write)
    except OperationFailure as error:
        if error.code not in SNAPSHOT_GONE:
            raise
        raise ServiceUnavailable(
            "MongoDB forgets the backup's instant before all is read: raise its parameter"
            " minSnapshotHistoryWindowInSeconds (300 by default) above the time that a backup takes"
        ) from None
    for below in LAKE_FOLDERS:
        for path in lake.names(below):
            keep(f"lake/{path}", lake.read(path))
    manifest = Manifest(now, layouts.current(KEPT), documents, list(files), LAYOUT, files)
    to.write(f"{name}/{MANIFEST}", msgspec.json.encode(manifest))
    return Backup(to, name, manifest)


def _require_apart(lake: Folder, to: Folder) -> None:
    """Raises BadInput for a destination in the lake: vacuum deletes what the table does not name, and the next backup
    would hold this one. Also for a lake that is not there: without its files the backup would be taken for whole."""
    if locations.is_within(to.location, lake.location):
        raise BadInput("--to", f"lies in the lake {lake.location}: choose a folder outside of it, on another disk")
    if not lake.names(LAKE_LOG):
        raise BadInput("PEACEWATCH_LAKE", f"there is no lake at {lake.location}: its nightly reports would be missing")


def newest(folder: Folder, name: str | None = None) -> Backup:
    """The newest finished backup, or the one called `name`. Raises BadInput if there is none.

    A manifest in a folder of a folder is of something else, such as a copy of old backups.
    """
    found = (path.partition("/") for path in folder.names())
    finished = [name for name, _, below in found if below == MANIFEST]
    chosen = max(finished, default=None) if name is None else name if name in finished else None
    if chosen is None:
        there = f"there are {', '.join(finished)}" if finished else "there is none"
        raise BadInput("--name" if name else "--from", f"no such finished backup; {there}")
    try:
        manifest = msgspec.json.decode(folder.read(f"{chosen}/{MANIFEST}"), type=Manifest)
    except msgspec.MsgspecError as error:
        wrong = f"{chosen}/{MANIFEST} is not the manifest of a backup: {error}"
        raise BadInput("--from", f"{wrong}; take another backup by --name") from None
    return Backup(folder, chosen, manifest)


def restore(database: Documents, lake: Folder, backup: Backup) -> int:
    """Puts all documents back, and the lake's files if they are missing; returns how many.

    The database must have no documents, else PeacewatchError. All files are read twice: the first time to see that none
    is damaged, before anything is written. Until it ends, all that use the database wait, also after a crash
    (layouts.require): then empty the database and restore again.
    Raises NewerLayout for a backup of a newer version, and BadInput for a damaged one.
    """
    _require_known(backup.manifest)
    _require_empty(database)
    _require_whole(backup)
    layouts.claim(database)
    layouts.begin_restore(database, backup.name)
    for path in backup.manifest.files:
        if (name := _collection(path)) is not None and (documents := _unpacked(_content(backup, path))):
            database[name].insert_many(documents)
    there = {path for below in LAKE_FOLDERS for path in lake.names(below)}
    missing = [path for path in backup.manifest.files if path.startswith("lake/") and path[5:] not in there]
    for path in missing:
        lake.write(path[5:], _content(backup, path))
    layouts.end_restore(database)
    return len(missing)


def _require_empty(database: Documents) -> None:
    """Views count too: they are of what landed or ran since, and would be added to the backup's documents."""
    layouts.require(database)
    for collection in {**KEPT, **layouts.COLLECTIONS}:
        if collection not in STAY and database[collection].find_one({}, {"_id": 1}) is not None:
            raise PeacewatchError(
                f"MongoDB has documents in {collection}: a backup is restored into an empty database,"
                " so stop all processes and drop this one first"
            )


def _require_known(manifest: Manifest) -> None:
    refuse_newer("the backup", manifest.layout, LAYOUT)
    layouts.require_known("the backup's", manifest.layouts)


def _require_whole(backup: Backup) -> None:
    """Raises BadInput if a file is not as it was written, or is not one that `take` writes."""
    there = dict.fromkeys(KEPT, 0)
    for path in backup.manifest.files:
        collection = _collection(path)
        of_lake = path.startswith(tuple(f"lake/{below}/" for below in LAKE_FOLDERS)) and ".." not in path.split("/")
        if collection not in KEPT and not of_lake:
            raise BadInput("--from", f"{backup.name}/{path} is none of a backup's files")
        content = _content(backup, path)
        if collection is not None:
            try:
                there[collection] += len(_unpacked(content))
            except (OSError, pa.ArrowException, BSONError) as error:
                raise BadInput("--from", f"{backup.name}/{path} is damaged: {sentence(error)}") from None
    for name, many in there.items():
        if many != (promised := backup.manifest.documents.get(name, 0)):
            raise BadInput("--from", f"{backup.name} has {many} documents of {name} and its manifest names {promised}")


def _content(backup: Backup, path: str) -> bytes:
    """The content of one of its files. Raises BadInput if it is not what was written."""
    content, hashes = backup.folder.read(f"{backup.name}/{path}"), backup.manifest.sha256
    if hashes and hashes.get(path) != _hash(content):
        raise BadInput("--from", f"{backup.name}/{path} is damaged; take another backup by --name")
    return content


def _collection(path: str) -> str | None:
    """Whose documents the file holds; None: it is of the lake."""
    return None if path.startswith("lake/") else path.removesuffix(_SUFFIX).rpartition("-")[0]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def packed(chunk: list[bytes]) -> bytes:
    """The content of a file of these documents, each as BSON."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        for document in chunk:
            packed.write(document)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _unpacked(content: bytes) -> list[dict[str, Any]]:
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as packed:
        return bson.decode_all(packed.read(), _OPTIONS)
