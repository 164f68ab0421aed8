"""Class data sharing: an archive of the classes that a Java program loads, mapped at each start of that program.

An archive belongs to one build of Java and one class path: its name holds a hash of both (`key`) and its own size.
Java checks both again. Without a matching archive a start takes longer, and nothing else changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from fleet.errors import ServiceUnavailable

_QUIET: Final = "-Xlog:cds*=off"
"""Otherwise Java reports on stdout that an archive does not fit."""

_ENDING: Final = ".jsa"


def key(java: Path, jars: Iterable[Path]) -> str:
    """What an archive is for: the Java program, and the jars of the class path in their order."""
    libjvm = java.resolve().parent.parent / "lib" / "server" / "libjvm.so"
    facts = [(str(file), *_size_and_time(file)) for file in (libjvm, *jars)]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def jars_in(folder: Path) -> list[Path]:
    """In the order of the folder, as Java expands `folder/*`: an archive is valid for one order."""
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.name.endswith(".jar")]


def find(folder: Path, key: str) -> Path | None:
    """The whole archive of this key. Java crashes over a truncated one."""
    whole = [file for file in folder.glob(f"{key}-*{_ENDING}") if file == name(file, key)]
    return whole[0] if whole else None


def name(archive: Path, key: str) -> Path:
    """The name of a whole archive: `<key>-<its size>.jsa`, in its folder."""
    return archive.with_name(f"{key}-{archive.stat().st_size}{_ENDING}")


def options(archive: Path | None) -> tuple[str, ...]:
    """Options of a Java that maps the archive; none without one, because Java then maps its own classes."""
    return () if archive is None else (f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", _QUIET)


def options_to_make(archive: Path) -> tuple[str, ...]:
    """Options of a Java that writes the archive when it ends."""
    return f"-XX:ArchiveClassesAtExit={archive}", _QUIET


def options_to_require(archive: Path) -> tuple[str, ...]:
    """Options of a Java that starts from the archive or not at all."""
    return f"-XX:SharedArchiveFile={archive}", "-Xshare:on"


def make(
    folder: Path, key: str, load: Callable[[tuple[str, ...], Path], None], start: Callable[[Path], Sequence[str | Path]]
) -> Path:
    """The archive of this key in `folder`; makes it if there is none, and deletes all others there.

    `load(options, scratch)` runs the program with these options until it has ended; `start(archive)` is a command that
    ends well if Java can start from the archive. Several processes may ask at once. Raises ServiceUnavailable or
    OSError if it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        archive = find(folder, key)
        if archive is None:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".make-") as scratch:
                part = Path(scratch, f"classes{_ENDING}")
                load(options_to_make(part), Path(scratch))
                require_whole(part, start(part))
                archive = part.rename(folder / name(part, key).name)
        for other in folder.glob(f"*{_ENDING}"):
            if other != archive:
                other.unlink()
    return archive


def require_whole(archive: Path, start: Sequence[str | Path]) -> None:
    """Raises ServiceUnavailable if the command `start` fails to start from it: the disk may have been full."""
    done = subprocess.run(  # noqa: S603 - the command is ours
        start, cwd=archive.parent, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stdout + done.stderr).strip() or "it says nothing"
        raise ServiceUnavailable(f"Java cannot start from the archive of classes: {reason.splitlines()[0]}")


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
