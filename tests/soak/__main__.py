"""Runs a piece of the soak and prints its verdict; the same command again goes on with the next piece.

    script/test --soak [--minutes 10] [--seed S] [--rate 180] [--folder var/soak] [--fresh]

`--minutes 0` sends nothing more and gives the verdict of what is there, as after a piece that was killed.

The mission's rate is 9,000 reports a second; `--rate` says how many are sent here, 2 % of it by default: 25 processes
share the machine. A fault a minute is drawn by the seed, which is printed. Exit code 1: something is wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import psutil

from tests.soak import faults, served
from tests.soak.worlds import Worlds, unmount
from tests.support import verdict
from tests.support.waiting import answers

MISSION_RATE: Final = 9000
FAULT_SECONDS: Final = 60
SAMPLE_SECONDS: Final = 5
REST_SECONDS: Final = 600
"""How long everything may take to arrive after the last fault."""

SERVED_SECONDS: Final = 90
GROWTH: Final = 1.5
GROWTH_MB: Final = 100
"""A process grew without bound when the last quarter of a piece needs this much more memory than the second quarter."""


class Piece:
    """One piece: so many minutes of load and faults, then the verdict."""

    def __init__(self, folder: Path, seed: int, rate: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.history = folder / "history.jsonl"
        lines = self.history.read_text().splitlines() if self.history.exists() else []
        past = [json.loads(line) for line in lines]
        begun = [line["begun"] for line in past if "begun" in line]
        self.number, self.fault_number = len(begun), sum("fault" in line for line in past)
        self.seed = begun[0]["seed"] if begun else seed
        self._keep("begun", {"seed": self.seed, "rate": rate})
        self.worlds = Worlds(folder, self.number, rate)
        self.faults: list[str] = []
        self.trouble: list[str] = []
        self.memory: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def run(self, minutes: float) -> verdict.Verdict:
        began = time.monotonic()
        due, ends_at, end = began + FAULT_SECONDS / 2, 0.0, None
        sampled = began
        while (now := time.monotonic()) < began + minutes * 60 or end is not None:
            self.worlds.tick()
            if end is None and now >= due and now < began + minutes * 60:
                end, ends_at, due = self._begin(), now + faults.HOLD_SECONDS, max(due + FAULT_SECONDS, now)
            if end is not None and now >= ends_at:
                self._attempt("end", end)
                end = None
            if now >= sampled:
                self._sample(now - began)
                sampled = now + SAMPLE_SECONDS
            time.sleep(0.5)
        said = self.worlds.end_load()
        print("sent", *said, "batch runs", self.worlds.batches, sep="\n  ", flush=True)
        found = self._rest()
        found.wrong += self.trouble + self._grown(minutes * 60) + self._given_up(said)
        self._keep("verdict", {"minutes": minutes, "figures": found.figures, "wrong": found.wrong})
        return found

    def _begin(self) -> Any:
        name = faults.drawn(self.seed, self.fault_number + len(self.faults))
        self.faults.append(name)
        self._keep("fault", name)
        print(f"{time.strftime('%H:%M:%S')} fault {self.fault_number + len(self.faults)}: {name}", flush=True)
        return self._attempt(name, lambda: faults.FAULTS[name](self.worlds)) or (lambda: None)

    def _attempt(self, what: str, act: Any) -> Any:
        """A fault that cannot be made, or ended, is trouble of the soak's own, and in its verdict."""
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - a piece goes on, and says so
            self.trouble.append(f"fault {self.faults[-1]}, {what}: {type(error).__name__}: {error}")
            print(self.trouble[-1], flush=True)
            return None

    def _sample(self, at: float) -> None:
        for name, process in self.worlds.processes():
            try:
                self.memory[name].append((at, process.memory_info().rss / 1e6))
            except psutil.NoSuchProcess:
                continue

    def _grown(self, seconds: float) -> list[str]:
        wrong = []
        for name, samples in self.memory.items():
            second = [megabytes for at, megabytes in samples if seconds / 4 <= at < seconds / 2]
            last = [megabytes for at, megabytes in samples if at >= seconds * 3 / 4]
            if second and last:
                before, after = statistics.median(second), statistics.median(last)
                print(f"  {name}: {before:.0f} MB, at the end {after:.0f} MB, most {max(m for _, m in samples):.0f} MB")
                if after > before * GROWTH + GROWTH_MB:
                    wrong.append(f"{name} grew from {before:.0f} to {after:.0f} MB")
        return wrong

    def _given_up(self, said: list[dict[str, Any]]) -> list[str]:
        failed = sum(each["failed"] for each in said)
        return [f"{failed} reports were acknowledged by no broker"] if failed else []

    def _rest(self) -> verdict.Verdict:
        """The verdict once everything has arrived, or when the time for that is over."""
        store, product = self.worlds.store.store, self.worlds.product
        evidence = verdict.Evidence(
            self.worlds.brokers.address,
            store.lake,
            tuple(sorted(self.folder.glob("acknowledged-*.csv"))),
            product.home / "discord",
            store.environment,
        )
        until = time.monotonic() + REST_SECONDS
        while True:
            found = verdict.check(evidence)
            if not found.wrong or time.monotonic() > until:
                break
            print(f"{time.strftime('%H:%M:%S')} not at rest: {'; '.join(found.wrong)[:300]}", flush=True)
            time.sleep(5)
        product.environ["PEACEWATCH_SPARK_MASTER"] = "local[2]"  # the cluster may still lack a worker
        last = product.run("aggregate", check=False, seconds=900)
        if last.returncode:
            found.wrong.append(f"the last batch run failed: {last.stderr[-500:]}")
        found.wrong += self._served()
        return found

    def _served(self) -> list[str]:
        """What is served otherwise than it is recomputed, once the last commit's live document has had its time."""
        store, product = self.worlds.store.store, self.worlds.product
        product.wait(lambda: answers(f"{product.page}/readyz"), SERVED_SECONDS, "the page")
        until = time.monotonic() + SERVED_SECONDS
        while True:
            wrong = served.differences(product.page, store.lake, store.environment)
            if not wrong or time.monotonic() > until:
                return wrong
            time.sleep(2)

    def _keep(self, what: str, value: Any) -> None:
        """At once: a piece that is killed has been, and the next one goes on after its faults."""
        with self.history.open("a") as file:
            file.write(json.dumps({what: value}) + "\n")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--minutes", type=float, default=10)
    asked.add_argument("--seed", type=int, default=int(time.time()))
    asked.add_argument("--rate", type=int, default=MISSION_RATE // 50, help="reports a second")
    asked.add_argument("--folder", type=Path, default=Path("var/soak"))
    asked.add_argument("--fresh", action="store_true", help="forget earlier pieces")
    options = asked.parse_args()
    if options.fresh:
        unmount(options.folder / "disk")
        shutil.rmtree(options.folder, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    piece = Piece(options.folder.resolve(), options.seed, options.rate)
    form = f"{options.rate} reports/s, {options.minutes:g} minutes"
    print(f"piece {piece.number + 1}, seed {piece.seed}, {form}", flush=True)
    if not piece.worlds.has_small_disk:
        print("this machine lets nobody mount: S3's disk is not small, and is not filled")
        faults.FAULTS.pop("S3's disk full")
    try:
        piece.worlds.start()
        found = piece.run(options.minutes)
    finally:
        piece.worlds.close()
    print(found)
    print("VERDICT: " + ("wrong" if found.wrong else "all is well"))
    sys.exit(1 if found.wrong else 0)


if __name__ == "__main__":
    main()
