"""All that a piece of the soak runs: three brokers, three MongoDB servers, S3, a Spark cluster, and the whole product.

Everything lies in one folder, and a later piece goes on with what an earlier one left there.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import psutil

from infra.kafka.topics import create_topics
from tests.support import load, s3, spark_cluster
from tests.support.brokers import Brokers
from tests.support.product import STANDIN, Product
from tests.support.replica_set import ReplicaSet

DISK_MB: Final = 1024
"""The file system that S3's data lies on: small, so that a fault can fill it."""

COMMANDS: Final = ("land", "land:2", "alerting", "alerting:2", "notify", "notify:2", "record")
"""Two of each that can share its work or stand by."""

BATCH_SECONDS: Final = 60
"""How long the end waits for the run that is on."""

BATCH_PAUSE: Final = 30.0
"""Seconds between two batch runs: many faults meet one in the middle."""


class Worlds:
    """`start` everything, `tick` often, `close` at the end. `rate`: reports a second."""

    def __init__(self, home: Path, piece: int, rate: int) -> None:
        self.home, self.piece, self.rate = home, piece, rate
        self.has_small_disk = _mount(home / "disk")
        self.brokers = Brokers(home / "brokers")
        self.store = s3.Server(home / "disk")
        self.loads: list[load.Load] = []
        self.main: load.Load | None = None
        self.batch: subprocess.Popen[bytes] | None = None
        self.batches = {"ended well": 0, "ended by a fault": 0}
        self._batch_due = 0.0
        self._opened = ExitStack()

    def start(self) -> None:
        self._opened.callback(unmount, self.home / "disk")
        self._opened.callback(self.store.kill)
        self.store.start()
        self._opened.callback(self.brokers.close)
        self.brokers.start()
        create_topics(self.brokers.address)
        self.mongo = ReplicaSet(self.home / "mongo")
        self._opened.callback(self.mongo.close)
        self.mongo.begin()
        self.spark = self._opened.enter_context(spark_cluster.serving(self.home / "spark", workers=2))
        places = {
            "PEACEWATCH_KAFKA_BOOTSTRAP": self.brokers.address,
            "PEACEWATCH_MONGO_URI": self.mongo.uri,
            "PEACEWATCH_LAKE": self.store.store.lake,
            "PEACEWATCH_SPARK_MASTER": self.spark.master,
            "PEACEWATCH_COMET": "off",
            **self.store.store.environment,
            **self.spark.environment,
        }
        self.product = Product(self.home / "product", places)
        self._opened.callback(self.product.close)
        self.product.start_standin()
        for name in COMMANDS:
            self.product.start(name.partition(":")[0], name)
        self.product.start_page()
        self.main = self.load(0)

    def load(self, block: int, **options: object) -> load.Load:
        """Another fleet, whose reports have numbers of their own."""
        notes = self.home / f"acknowledged-{self.piece}-{block}.csv"
        first = self.piece * 1_000_000_000 + block * 10_000_000
        usual = {"rate": self.rate, "drones": max(60, self.rate * 60), "first": first}
        self.loads.append(load.start(self.brokers.address, notes, **{**usual, **options}))
        return self.loads[-1]

    def tick(self) -> None:
        """A batch run is always on, with pauses."""
        if self.batch is None and time.monotonic() >= self._batch_due:
            self.batch = self.product.start("aggregate").process
        if self.batch is not None and self.batch.poll() is not None:
            self.batches["ended well" if self.batch.returncode == 0 else "ended by a fault"] += 1
            self.batch, self._batch_due = None, time.monotonic() + BATCH_PAUSE
            self.product.running.pop("aggregate", None)

    def end_load(self) -> list[dict[str, Any]]:
        """Ends what is sent, and the batch run that is on."""
        said = [each.stop() if each.child.poll() is None else each.wait() for each in self.loads]
        if self.batch is not None:
            try:
                self.batch.wait(BATCH_SECONDS)
            except subprocess.TimeoutExpired:  # on a busy machine; another run makes up for it
                self.product.kill("aggregate")
            self.tick()
        return said

    def processes(self) -> Iterator[tuple[str, psutil.Process]]:
        """Each long-running process by a name that outlives its restart."""
        children = {f"broker {node}": child for node, child in self.brokers.nodes.items()}
        children |= {f"MongoDB {port}": child for port, child in self.mongo.nodes.items()}
        children |= {name: child for name, child in self.product.running.items() if name not in ("aggregate", STANDIN)}
        if self.store.child is not None:
            children["S3"] = self.store.child
        for name, child in children.items():
            if child.alive:
                yield name, psutil.Process(child.pid)

    def close(self) -> None:
        for each in self.loads:
            if each.child.poll() is None:
                each.child.kill()
        self._opened.close()


def _mount(folder: Path) -> bool:
    """A small file system of its own at `folder`, kept in a file next to it. False without the right to mount."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder.with_suffix(".img")
    if folder.is_mount():
        return True
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(DISK_MB * 1024 * 1024)
        if subprocess.run(["mkfs.ext4", "-q", image], check=False, capture_output=True).returncode:
            return False
    return subprocess.run(["mount", "-o", "loop", image, folder], check=False, capture_output=True).returncode == 0


def unmount(folder: Path) -> None:
    """If something is mounted there; what still uses it may end later."""
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", folder], check=False)
