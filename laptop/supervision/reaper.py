"""Finds and kills the processes that a stack started: all carry a mark in their environment.

Process groups are not enough: Airflow gives each task a group of its own. Run as a program (`python reaper.py MARK`,
with a pipe as its input) it is the stack's reaper: it waits until the other end of the pipe closes, even by a crash,
and then kills all processes with the mark. It imports only the standard library, so it is small and starts at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "PEACEWATCH_STACK"
_AGAIN_SECONDS: Final = 0.1


def marked(mark: str, service: str | None = None) -> list[int]:
    """Pids of the running processes whose mark begins with `mark`; only those of `service` where one is named."""
    wanted = f"{VARIABLE}={mark}".encode()
    end = f"#{service}".encode() if service else b""
    return [
        pid
        for pid, environment in _environments()
        if any(entry.startswith(wanted) and entry.endswith(end) for entry in environment.split(b"\0"))
    ]


def kill(mark: str, service: str | None = None) -> int:
    """Kills the marked processes, and those that they start meanwhile. Returns how many were killed."""
    killed: set[int] = set()
    while pids := marked(mark, service):
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(pids)
        time.sleep(_AGAIN_SECONDS)
    return len(killed)


def _environments() -> list[tuple[int, bytes]]:
    environments = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # Another user's, or ended meanwhile. A zombie has no environment.
            with suppress(OSError):
                environments.append((int(folder.name), (folder / "environ").read_bytes()))
    return environments


def main() -> None:
    """The reaper."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    kill(sys.argv[1])


if __name__ == "__main__":
    main()
