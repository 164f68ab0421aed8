"""A batch run killed with SIGKILL leaves every hour old or new, and the next run makes up for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_layer.job import Job
from batch_layer.views import hours
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra.mongo import client, runs
from infra.mongo.client import Documents
from laptop import ports
from laptop.services import mongo
from serving.figures.merge import Merge
from tests.support import lakes

RUN = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from batch_layer.job import Job
from batch_layer.views import hours
from infra.mongo import client
from tests.support import lakes

class Slow(lakes.ArrowEngine):
    left = int(sys.argv[3])
    def cells(self, *asked):
        if self.left == 0:
            print("here", flush=True)
            time.sleep(600)  # killed before it ends
        self.left -= 1
        return super().cells(*asked)

@contextmanager
def engine():
    yield Slow()

with client.connect(sys.argv[1]) as documents:
    hours.run(Job(documents, sys.argv[2], engine, chunk=1))
"""


@pytest.mark.parametrize("after", [0, 1, 2])
def test_killed_between_hours(after: int, tmp_path: Path, mongo_uri: str, mongo_database: Documents) -> None:
    lakes.make(tmp_path)
    job = Job(mongo_database, str(tmp_path), lakes.arrow_engine, live_kept=timedelta(0), chunk=1)
    lakes.land(tmp_path, lakes.some_rows(60, seed=1))
    hours.run(job)
    lakes.land(tmp_path, lakes.some_rows(60, seed=2, first=100))
    killed = subprocess.Popen(
        [sys.executable, "-c", RUN, mongo_uri, str(tmp_path), str(after)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "here\n"
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
    versions = sorted(document["version"] for document in mongo_database.hours.find())
    assert versions == [1] * (3 - after) + [2] * after
    assert runs.base_version(mongo_database) == 1
    served = Merge(mongo_database, max_age=0).served(range(490_000, 500_000))
    assert served.version == 2
    assert HOURS.merge(served.hours.values()).equals(HOURS.fold(lakes.everything(tmp_path)))
    assert hours.run(job).computed == 3 - after
    assert runs.base_version(mongo_database) == 2


def test_mongodb_away_is_one_sentence_and_the_next_run_succeeds(tmp_path: Path) -> None:
    """A real server of its own, killed while the hours are computed."""
    port = ports.free_port()
    server = mongo.start(tmp_path, port)
    lake = tmp_path / "lake"
    lakes.make(lake)
    lakes.land(lake, lakes.some_rows(60))

    class Killing(lakes.ArrowEngine):
        def cells(self, *asked: Any) -> Any:
            server.kill()
            return super().cells(*asked)

    @contextmanager
    def killing() -> Iterator[Killing]:
        yield Killing()

    uri = server.uri.replace("?", "?serverSelectionTimeoutMS=2000&")
    with (
        pytest.raises(ServiceUnavailable, match=r"^MongoDB does not answer[^\n]*$"),
        client.connect(uri) as documents,
    ):
        hours.run(Job(documents, str(lake), killing))
    again = mongo.start(tmp_path, port)
    try:
        with client.connect(again.uri) as documents:
            assert runs.base_version(documents) == runs.NO_BASE
            assert hours.run(Job(documents, str(lake), lakes.arrow_engine)).computed == 3
            assert runs.base_version(documents) == 1
    finally:
        again.kill()
