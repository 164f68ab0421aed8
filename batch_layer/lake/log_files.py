"""The files of a table's log, as far as they are still there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from infra.delta import Commit, LogGone, Snapshot

_NAME: Final = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")


def files(snapshot: Snapshot) -> Iterator[tuple[int, str, str]]:
    """(version, json or checkpoint.parquet, path) of each file of the log."""
    for path in snapshot.names("_delta_log"):
        name = _NAME.fullmatch(path.rpartition("/")[2])
        if name:
            yield int(name[1]), name[2], path


def commits(pinned: Snapshot, base: int) -> list[Commit]:
    """The commits after `base` in order; those that the log no longer holds are not among them."""
    first = min(base, pinned.version) + 1
    try:
        return list(pinned.commits(first - 1))
    except LogGone:  # millions may be gone: what is there is asked for once, not each
        there = sorted(version for version, kind, _ in files(pinned) if kind == "json")
        return [pinned.commit(version) for version in there if first <= version <= pinned.version]
