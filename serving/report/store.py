"""Where nightly reports lie: beside the lake's tables, `<lake>/nightly/<day>/<revision>/report.{html,pdf,png,json}`.

The JSON gets its name last: a revision without it was never finished, and nobody sees it. A revision is never changed;
a day made again is a new one. Works on a folder and on S3 alike (pyarrow.fs).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from pyarrow import fs

from serving.report import facts

FORMS: Final = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "png": "image/png",
    "json": "application/json",
}


@dataclass(frozen=True)
class Made:
    """A finished revision of a day's report."""

    day: date
    revision: int


class ReportStore:
    """The reports of one lake. `lake` is a folder or an `s3://` address."""

    def __init__(self, lake: str) -> None:
        location = lake if "://" in lake else str(Path(lake).absolute())
        self._files, root = fs.FileSystem.from_uri(location) if "://" in location else (fs.LocalFileSystem(), location)
        self._root = f"{root.rstrip('/')}/nightly"

    def days(self) -> list[Made]:
        """The newest finished revision of every day, newest day first."""
        newest: dict[date, int] = {}
        for path in self._finished(self._root):
            day, revision = path.rsplit("/", 3)[-3:-1]
            newest[date.fromisoformat(day)] = max(newest.get(date.fromisoformat(day), 0), int(revision))
        return [Made(day, newest[day]) for day in sorted(newest, reverse=True)]

    def newest(self, day: date) -> Made | None:
        revisions = [int(path.rsplit("/", 2)[-2]) for path in self._finished(f"{self._root}/{day}")]
        return Made(day, max(revisions)) if revisions else None

    def read(self, made: Made, form: str) -> bytes:
        """The bytes of one of FORMS. Raises FileNotFoundError when the revision was never finished."""
        with self._files.open_input_stream(self._path(made, form)) as stream:
            content: bytes = stream.read()
        return content

    def facts(self, made: Made) -> facts.DayReport:
        return facts.from_json(self.read(made, "json"))

    def write(self, made: Made, forms: dict[str, bytes]) -> None:
        """Finishes a revision. `forms` has all of FORMS; `json` is named last: it makes the others count."""
        self._files.create_dir(f"{self._root}/{made.day}/{made.revision}", recursive=True)
        for form in FORMS:
            with self._files.open_output_stream(self._path(made, form) + ".part") as stream:
                stream.write(forms[form])
        for form in (*(form for form in FORMS if form != "json"), "json"):
            self._files.move(self._path(made, form) + ".part", self._path(made, form))

    def _path(self, made: Made, form: str) -> str:
        return f"{self._root}/{made.day}/{made.revision}/report.{form}"

    def _finished(self, below: str) -> list[str]:
        chosen: Any = fs.FileSelector(below, recursive=True, allow_not_found=True)
        return [info.path for info in self._files.get_file_info(chosen) if info.path.endswith("/report.json")]
