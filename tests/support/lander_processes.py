"""Landers as processes of their own, to be killed, frozen and woken."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from laptop.supervision import processes
from laptop.supervision.processes import Child
from tests.support.landing import check_exactly_once, topic_id, unlanded
from tests.support.waiting import wait_for


@dataclass
class Landers:
    """Any number of landers of one topic. `folder` holds the logs, and the lake where `elsewhere` is empty."""

    bootstrap: str
    reports: str
    rejected: str
    mongo_uri: str
    folder: Path
    elsewhere: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)

    @property
    def lake(self) -> str:
        return self.elsewhere or str(self.folder / "lake")

    def start(self, *crash_at: object, shell: str = "") -> Child:
        """A new one; `crash_at`: step and times, see tests.support.crashing_lander.

        `shell` runs before it, in its shell.
        """
        config = self.folder / f"lander-{len(self.children)}.json"
        named = {"bootstrap": self.bootstrap, "lake": self.lake, "mongo_uri": self.mongo_uri}
        topics = {"reports": self.reports, "rejected": self.rejected, "group": f"land-{self.reports}"}
        config.write_text(
            json.dumps({**named, **topics, "seconds": 0.3, "idle_seconds": 0.1, "session_seconds": 6, **self.settings})
        )
        command = [sys.executable, "-m", "tests.support.crashing_lander", str(config), *map(str, crash_at)]
        if shell:
            command = ["sh", "-c", f'{shell}; exec "$@"', "sh", *command]
        self.children.append(processes.start("landing", command, config.with_suffix(".log")))
        return self.children[-1]

    def wait_landed(self, seconds: float = 90) -> None:
        """Until the table's entries cover all messages; says what the logs say when they do not."""
        try:
            wait_for(lambda: unlanded(self.bootstrap, self.reports, self.lake) == 0, seconds, "landing")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def landed_offsets(self) -> int:
        """How many offsets the table's entries cover, all partitions together."""
        if not DeltaTable.is_deltatable(f"{self.lake}/reports"):
            return 0
        table, key = DeltaTable(f"{self.lake}/reports"), topic_id(self.bootstrap, self.reports)
        return sum(table.transaction_version(f"{key}/{partition}") or 0 for partition in (0, 1))

    def check(self) -> None:
        check_exactly_once(self.bootstrap, self.reports, self.rejected, self.lake)

    def logs(self) -> str:
        return "\n".join(path.read_text()[-4000:] for path in sorted(self.folder.glob("lander-*.log")))


def freeze(child: Child) -> None:
    child.process.send_signal(signal.SIGSTOP)


def wake(child: Child) -> None:
    child.process.send_signal(signal.SIGCONT)


@contextmanager
def landers(
    bootstrap: str, reports: str, rejected: str, mongo_uri: str, folder: Path, elsewhere: str = "", **settings: Any
) -> Iterator[Landers]:
    """Landers that all end with the test."""
    running = Landers(bootstrap, reports, rejected, mongo_uri, folder, elsewhere, settings)
    try:
        yield running
    finally:
        for child in running.children:
            child.kill()
