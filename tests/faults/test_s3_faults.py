"""A lake on S3 while the store is killed, answers "slow down" to every request, or no longer accepts the old keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from fleet import topics
from fleet.figures.cube import HOURS
from infra import delta
from infra.mongo.client import Documents
from laptop import ports
from laptop.supervision import processes
from serving.figures.merge import Merge
from tests.support import lakes, product, s3, spark_cluster
from tests.support.lander_processes import Landers, landers
from tests.support.landing import STARTED_AT, landed, report, send
from tests.support.waiting import answers, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

OUTAGES = 2
AWAY_SECONDS = 8
"""Longer than a commit and its first retries, so that each command meets an outage at some time."""

SLOW_SECONDS = 60
"""As long as the issue asks for: a store that is overloaded recovers in about that time."""

COMMANDS = (
    ["aggregate", "--views", "hours"],
    ["compact"],
    ["vacuum", "--hours", "1"],
    ["report", "build", "--day", STARTED_AT.date().isoformat()],
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Server]:
    server = s3.Server(tmp_path / "store")
    server.start()
    for name, value in server.store.environment.items():
        monkeypatch.setenv(name, value)
    yield server
    server.kill()


@dataclass
class Stack:
    """Where the product's processes find their services. `number`: the number of the next report."""

    kafka: str
    mongo_uri: str
    topic: Callable[..., str]
    folder: Path
    number: int = 0

    @contextmanager
    def landing(self, lake: str) -> Iterator[Landers]:
        reports, rejected = self.topic(), self.topic(topics.REJECTED, 1)
        with landers(self.kafka, reports, rejected, self.mongo_uri, self.folder, lake) as running:
            yield running

    def environ(self, lake: str) -> dict[str, str]:
        """What a command needs."""
        return {
            "PEACEWATCH_HOME": str(self.folder),
            "PEACEWATCH_LAKE": lake,
            "PEACEWATCH_MONGO_URI": self.mongo_uri,
            "PEACEWATCH_KAFKA_BOOTSTRAP": self.kafka,
            "PEACEWATCH_COMET": "off",
        }

    def feed(self, lab: Landers, count: int) -> None:
        send(self.kafka, lab.reports, (report(number) for number in range(self.number, self.number + count)))
        self.number += count


@pytest.fixture
def stack(kafka: str, mongo_uri: str, topic: Callable[..., str], tmp_path: Path) -> Stack:
    return Stack(kafka, mongo_uri, topic, tmp_path)


class Commands:
    """Runs each of COMMANDS again and again, all of them side by side, until `end`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ, self._stop = environ, threading.Event()
        self.runs: dict[str, list[subprocess.CompletedProcess[str]]] = {command[0]: [] for command in COMMANDS}
        self._threads = [threading.Thread(target=self._repeat, args=(command,)) for command in COMMANDS]
        for thread in self._threads:
            thread.start()

    def wait_run_each(self) -> None:
        """Until each command has ended once more."""
        before = {name: len(runs) for name, runs in self.runs.items()}
        wait_for(lambda: all(len(self.runs[name]) > many for name, many in before.items()), 420, "a run of each")

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, command: list[str]) -> None:
        while not self._stop.is_set():
            self.runs[command[0]].append(run(command, self._environ))


def run(command: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cli", *command]
    return subprocess.run(line, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def test_the_store_is_killed_while_everything_works_on_it(
    server: s3.Server, stack: Stack, mongo_database: Documents, tmp_path: Path
) -> None:
    """Two landers, Spark on a cluster, compaction, vacuum and reports at once: no report is lost or counted twice."""
    with spark_cluster.serving(tmp_path / "cluster") as cluster, stack.landing(server.store.lake) as lab:
        environ = {**stack.environ(lab.lake), **cluster.environment, "PEACEWATCH_SPARK_MASTER": cluster.master}
        lab.start()
        lab.start()
        stack.feed(lab, 500)
        lab.wait_landed()
        commands = Commands(environ)
        try:
            commands.wait_run_each()
            for _ in range(OUTAGES):
                stack.feed(lab, 500)
                server.kill()
                stack.feed(lab, 500)
                time.sleep(AWAY_SECONDS)  # the length of the outage
                server.start()
                lab.wait_landed(240)
            commands.wait_run_each()
        finally:
            commands.end()
        lab.check()
        assert len(landed(lab.lake, "report_id")) == stack.number
        for command in COMMANDS:
            done = run(command, environ)
            assert done.returncode == 0, done.stderr[-3000:]
        errors = [done.stderr for runs in commands.runs.values() for done in runs]
        assert [text for text in errors if "Traceback" in text] == []
        assert figures(mongo_database, lab.lake) == HOURS.fold(lakes.everything(lab.lake))


def figures(database: Documents, lake: str) -> pa.Table:
    served = Merge(database, max_age=0).served(delta.pin(lake).hours)
    return HOURS.merge(list(served.hours.values()))


def test_a_store_that_answers_slow_down_for_a_minute(
    server: s3.Server, stack: Stack, mongo_database: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Landing continues, and batch commands that meet it end with a sentence at worst: the next run does their work."""
    switch, port = tmp_path / "slow", ports.free_port()
    command = [sys.executable, "-m", "tests.support.slow_store", server.store.endpoint, str(port), str(switch)]
    proxy = processes.start("slow S3", command, tmp_path / "slow.log")
    try:
        proxy.wait_ready(lambda: ports.answers(port), s3.START_SECONDS)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        with stack.landing(server.store.lake) as lab:
            lander = lab.start()
            stack.feed(lab, 300)
            lab.wait_landed()
            switch.touch()
            stack.feed(lab, 300)
            commands = Commands(stack.environ(lab.lake))
            try:
                time.sleep(SLOW_SECONDS)  # the length of the overload
                assert switch.with_suffix(".refused").stat().st_size > 0
                switch.unlink()
                stack.feed(lab, 300)
                lab.wait_landed(240)
                commands.wait_run_each()  # those that began in the overload
                commands.wait_run_each()
            finally:
                commands.end()
            lab.check()
            assert len(landed(lab.lake, "report_id")) == stack.number
            assert lander.alive
            assert "Traceback" not in lab.logs()
            for name, runs in commands.runs.items():
                assert "Traceback" not in "".join(done.stderr for done in runs), name
                assert runs[-1].returncode == 0, runs[-1].stderr[-3000:]
            assert figures(mongo_database, lab.lake) == HOURS.fold(lakes.everything(lab.lake))
    finally:
        proxy.kill()


NEW_KEY, NEW_SECRET = "another", "secret-of-tomorrow"


def test_keys_that_expire_are_replaced_in_their_files_without_a_restart(
    server: s3.Server, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lander and the web server continue with the keys that the files hold now."""
    files = {"AWS_ACCESS_KEY_ID": tmp_path / "key", "AWS_SECRET_ACCESS_KEY": tmp_path / "secret"}
    write_keys(files, s3.KEY, s3.SECRET)
    for name, file in files.items():
        monkeypatch.delenv(name)
        monkeypatch.setenv(f"{name}_FILE", str(file))
    port = ports.free_port()
    page = f"http://127.0.0.1:{port}"
    with stack.landing(server.store.lake) as lab:
        lander = lab.start()
        environ = {**stack.environ(lab.lake), "PEACEWATCH_WEB_PORT": str(port)}
        web = processes.start("serve", [sys.executable, "-m", "cli", "serve"], tmp_path / "serve.log", env=environ)
        try:
            web.wait_ready(lambda: answers(f"{page}/readyz"), product.READY_SECONDS)
            stack.feed(lab, 300)
            wait_for(lambda: rows(server.store) == stack.number, 120, "landing")
            assert single_reports(page).raise_for_status().json()["reports"]
            assert nightly_reports(page).is_success
            server.allow(NEW_KEY, NEW_SECRET)
            assert server.child is not None
            server.child.process.send_signal(signal.SIGHUP)  # SeaweedFS reads its keys again
            wait_for(lambda: single_reports(page).status_code == 503, 120, "the refusal of the old keys")
            wait_for(lambda: nightly_reports(page).status_code == 503, 120, "the refusal of the old keys")
            stack.feed(lab, 300)
            wait_for(lambda: "landing waits for a service" in lab.logs(), 240, "the lander's refusal")
            write_keys(files, NEW_KEY, NEW_SECRET)
            renewed = replace(server.store, key=NEW_KEY, secret=NEW_SECRET)
            wait_for(lambda: rows(renewed) == stack.number, 240, "landing")
            assert single_reports(page).raise_for_status().json()["reports"]
            assert nightly_reports(page).is_success
            assert lander.alive
            assert web.alive
        finally:
            web.kill()


def write_keys(files: Mapping[str, Path], key: str, secret: str) -> None:
    """As a vault's agent does: each file is replaced at once."""
    for file, text in zip(files.values(), (key, secret), strict=True):
        fresh = file.with_suffix(".new")
        fresh.write_text(f"{text}\n")
        fresh.rename(file)


def rows(store: s3.S3) -> int:
    """Of the lake; 0 before its first commit, and while the store refuses the keys."""
    with suppress(DeltaError, OSError):
        return DeltaTable(f"{store.lake}/reports", storage_options=store.environment).count()
    return 0


def single_reports(page: str) -> httpx.Response:
    wanted = {"date": STARTED_AT.date().isoformat(), "country": "France"}
    return httpx.get(f"{page}/api/v1/reports", params=wanted, timeout=120)


def nightly_reports(page: str) -> httpx.Response:
    return httpx.get(f"{page}/api/v1/nightly-reports", timeout=120)
