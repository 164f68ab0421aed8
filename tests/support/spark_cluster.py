"""A Spark cluster of a test's own: a standalone master and workers, from pyspark's own classes, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

from infra.java import java
from laptop import ports
from laptop.supervision import processes

START_SECONDS = 120


@dataclass(frozen=True)
class Cluster:
    """`master` for clients; `conf` is a SPARK_CONF_DIR for those that shall leave room for others."""

    master: str
    page: str
    conf: Path
    workers: list[processes.Child] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets on the machine that the jobs come from: its settings of Spark, and its own address."""
        return {"SPARK_CONF_DIR": str(self.conf), "SPARK_LOCAL_IP": "127.0.0.1"}

    def state(self) -> dict[str, Any]:
        """What the master says of its workers and applications."""
        found: dict[str, Any] = httpx.get(f"{self.page}/json/", timeout=30).raise_for_status().json()
        return found

    def done(self) -> list[str]:
        """The names of the applications that have ended well, in the order they came."""
        ended = sorted(self.state()["completedapps"], key=lambda app: app["starttime"])
        return [app["name"] for app in ended if app["state"] == "FINISHED"]

    def kill_worker(self) -> None:
        """The first, and its executors with it, as when its machine dies."""
        self.workers.pop(0).kill()

    def start_worker(self, cores: int = 1) -> None:
        """Returns when the master has one more than before; of one that was killed it learns after a while."""
        home, before = self.conf.parent, set(self.worker_ids())
        size = ("--cores", cores, "--memory", "1g", "--work-dir", home / "spark-work")
        worker = _start("Worker", home, "--port", 0, "--webui-port", ports.free_port(), *size, self.master)
        self.workers.append(worker)
        worker.wait_ready(lambda: bool(set(self.worker_ids()) - before), START_SECONDS)

    def worker_ids(self) -> list[str]:
        """Those alive, as far as the master knows; none while it does not answer."""
        with suppress(httpx.HTTPError):
            return [worker["id"] for worker in self.state()["workers"] if worker["state"] == "ALIVE"]
        return []


@contextmanager
def serving(home: Path, workers: int = 1) -> Iterator[Cluster]:
    """A cluster with two cores, or one each of several workers; its logs lie in `home`."""
    conf = home / "spark-conf"
    conf.mkdir(parents=True, exist_ok=True)
    (conf / "spark-defaults.conf").write_text("spark.executor.memory 512m\n")
    port, page = ports.free_port(), ports.free_port()
    found = Cluster(f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{page}", conf)
    master = _start("Master", home, "--port", port, "--webui-port", page)
    try:
        master.wait_ready(lambda: _workers(found) is not None, START_SECONDS)
        try:
            for _ in range(workers):
                found.start_worker(2 if workers == 1 else 1)
            yield found
        finally:
            for worker in found.workers:
                worker.stop()  # it ends its executors
    finally:
        master.kill()


def _start(role: str, home: Path, *arguments: object) -> processes.Child:
    spec = find_spec("pyspark")
    assert spec
    assert spec.origin
    spark = Path(spec.origin).parent
    program = spark / "bin" / "spark-class"
    command = [str(program), f"org.apache.spark.deploy.{role.lower()}.{role}", "--host", "127.0.0.1"]
    environment = {
        "SPARK_HOME": str(spark),
        "JAVA_HOME": str(java().resolve().parent.parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_NO_DAEMONIZE": "1",
    }
    return processes.start(role, [*command, *map(str, arguments)], home / "log" / f"spark-{role}.log", env=environment)


def _workers(cluster: Cluster) -> int | None:
    """How many the master has; None while it does not answer."""
    with suppress(httpx.HTTPError):
        return int(cluster.state()["aliveworkers"])
    return None
