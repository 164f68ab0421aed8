"""The stand-in's own log: one JSON line per request, written before the answer is sent, so tests can rely on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Log:
    """`log.jsonl` and the files of messages in `folder`. A durable line is on the disk when `add` returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "log.jsonl"
        self._file = self._path.open("ab")
        self._cut_torn_line()

    def add(self, entry: dict[str, Any], *, durable: bool) -> None:
        self._file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())

    def entries(self) -> Iterator[dict[str, Any]]:
        """Every line so far, oldest first."""
        with self._path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def keep_file(self, attachment_id: str, content: bytes) -> None:
        path = self.folder / "files" / attachment_id
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def file(self, attachment_id: str) -> bytes | None:
        path = self.folder / "files" / attachment_id
        return path.read_bytes() if attachment_id.isdigit() and path.is_file() else None

    def close(self) -> None:
        self._file.close()

    def _cut_torn_line(self) -> None:
        """Removes a last line that a kill or a full disk left half written: its request was never answered."""
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
