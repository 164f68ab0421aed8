"""Where nightly reports are kept, next to the lake's tables: `nightly/<day>/<revision>/report.{html,pdf,png,json}`.

The JSON is written last: a revision without it was never finished, and is not shown. A revision is never changed; a
rebuilt report is a new one. In a folder or on S3. S3 goes through deltalake's store, which reads the same `AWS_*`
variables as the rest of the lake (pyarrow's own ignores some of them).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from msgspec import MsgspecError
from pyarrow import ArrowException, fs

from fleet.errors import NewerLayout, PeacewatchError, ServiceUnavailable
from fleet.layout import found_at
from fleet.text import sentence
from infra.s3 import fresh_keys
from serving.report import facts

FORMS: Final = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "png": "image/png",
    "json": "application/json",
}


@dataclass(frozen=True)
class Revision:
    """A finished revision of a day's report."""

    day: date
    number: int


_FINISHED: Final = re.compile(
    r"(?:^|/)nightly/((?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))/(0|[1-9]\d{0,5})/report\.json$", re.ASCII
)
"""The path of a revision's last file."""


@dataclass(frozen=True)
class _Store:
    """`files` is over `remote`; without one, over this machine's disk."""

    keys: tuple[str | None, ...] = field(repr=False)
    remote: DeltaStorageHandler | None
    files: fs.FileSystem


class DamagedReport(PeacewatchError):
    """The JSON of a finished revision is no report; the next revision of the day is built without looking at it."""


class ReportStore:
    """The reports of one lake. `lake` is a folder or an `s3://` address.

    All methods raise ServiceUnavailable if reports cannot be read or written: S3 is away, the disk is full.
    """

    def __init__(self, lake: str) -> None:
        self._lake = lake
        self._root = "nightly" if "://" in lake else f"{Path(lake).absolute()}/nightly"
        self._opened: _Store | None = None
        self._open()

    def days(self) -> list[Revision]:
        """The newest finished revision of every day, newest day first."""
        newest: dict[date, int] = {}
        for each in self._finished(self._root):
            newest[each.day] = max(newest.get(each.day, 0), each.number)
        return [Revision(day, newest[day]) for day in sorted(newest, reverse=True)]

    def newest(self, day: date) -> Revision | None:
        revisions = [each.number for each in self._finished(f"{self._root}/{day}")]
        return Revision(day, max(revisions)) if revisions else None

    def read(self, revision: Revision, form: str) -> bytes:
        """The bytes of one of FORMS. Raises FileNotFoundError when the revision was never finished."""
        with _answering(), self._open().files.open_input_stream(self._path(revision, form)) as stream:
            content: bytes = stream.read()
        return content

    def facts(self, revision: Revision) -> facts.DayReport:
        """Raises DamagedReport, and NewerLayout if a newer version wrote it."""
        name = f"revision {revision.number} of the report of {revision.day}"
        try:
            return facts.from_json(self.read(revision, "json"))
        except NewerLayout as error:
            raise found_at(name, error) from None
        except (MsgspecError, ValueError) as error:
            raise DamagedReport(f"{name} is damaged: {sentence(error)}") from None

    def write(self, revision: Revision, forms: dict[str, bytes]) -> None:
        """Writes a revision. `forms` has all of FORMS; `json` comes last, and makes the revision valid."""
        with _answering():
            for form in (*(form for form in FORMS if form != "json"), "json"):
                self._put(self._path(revision, form), forms[form])

    def _put(self, path: str, content: bytes) -> None:
        """Atomic: under its name is the whole file or none."""
        store = self._open()
        if store.remote:
            handler: Any = store.remote._handler  # pyarrow's stream over it passes it no bytes
            stream = handler.open_output_stream(path, None)
            stream.write(content)
            stream.close()
            return
        store.files.create_dir(path.rpartition("/")[0], recursive=True)
        with store.files.open_output_stream(f"{path}.part") as stream:
            stream.write(content)
        store.files.move(f"{path}.part", path)

    def _open(self) -> _Store:
        """The store. One with other keys than those of the files now is opened again: a web server lives longer than
        keys do. Of two threads that do so at once each gets a store that works."""
        keys = fresh_keys(self._lake)
        store = self._opened
        if store is None or store.keys != keys:
            with _answering():
                remote = DeltaStorageHandler(self._lake) if "://" in self._lake else None
            store = _Store(keys, remote, fs.PyFileSystem(remote) if remote else fs.LocalFileSystem())
            self._opened = store
        return store

    def _path(self, revision: Revision, form: str) -> str:
        return f"{self._root}/{revision.day}/{revision.number}/report.{form}"

    def _finished(self, below: str) -> list[Revision]:
        """Those below a folder, without other files that a person has put there, and files that a crash emptied."""
        chosen: Any = fs.FileSelector(below, recursive=True, allow_not_found=True)
        with _answering():
            files = self._open().files.get_file_info(chosen)
        found = (_FINISHED.search(info.path) for info in files if info.size)
        return [Revision(date.fromisoformat(name[1]), int(name[2])) for name in found if name]


@contextmanager
def _answering() -> Iterator[None]:
    """Turns the store's errors into ServiceUnavailable, except that a file does not exist."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ArrowException, DeltaError) as error:
        raise ServiceUnavailable(f"the nightly reports cannot be read or written: {sentence(error)}") from error
