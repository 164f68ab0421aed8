"""Four settings at a Kafka, a MongoDB, a Spark cluster and an S3 of one's own: the whole path runs there.

All four are started by hand, outside the stack, which then has to start none of them. Slow: a stack, a cluster and
jars of 13 MB, which no other test needs.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet.errors import MissingPart
from fleet.figures import statistics
from fleet.figures.cube import HOURS
from infra import s3
from infra.settings import Settings
from laptop import ports
from laptop.demo.watch import StackAddresses, Watch
from laptop.services import kafka, mongo
from tests.support import lakes, spark_cluster, spark_engines
from tests.support import s3 as s3_server
from tests.support.laptop import command, environment, new, peacewatch, ran, simulate, status, up
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

DAYS = ("2026-11-20", "2026-11-21")
REPORTS = 3000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[spark_cluster.Cluster]:
    try:
        s3.S3A.fetch()
    except MissingPart as error:
        pytest.skip(f"Spark cannot be given what it needs for S3: {error}")
    with spark_cluster.serving(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory, cluster: spark_cluster.Cluster) -> Iterator[Settings]:
    """Settings that name the four, as their owner has them in the environment."""
    home = tmp_path_factory.mktemp("own")
    with s3_server.serving(home) as store, pytest.MonkeyPatch.context() as patch:
        secret = home / "secret"
        secret.write_text(f"{s3_server.SECRET}\n")
        usual = {**store.environment, **cluster.environment, "AWS_SECRET_ACCESS_KEY_FILE": str(secret)}
        for name, value in usual.items():
            patch.setenv(name, value)
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        broker, server = kafka.start(home, ports.free_port()), mongo.start(home, ports.free_port())
        try:
            yield new(
                tmp_path_factory.mktemp("peacewatch"),
                kafka_bootstrap=broker.address,
                mongo_uri=server.uri.replace("/peacewatch?", "/fleet?"),
                lake=store.lake,
                spark_master=cluster.master,
            )
        finally:
            broker.kill()
            server.kill()


@pytest.fixture(scope="module")
def stack(mine: Settings) -> Iterator[subprocess.Popen[str]]:
    with up(mine) as process:
        yield process


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what this process itself reads of the lake."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.SECRET)


def test_the_stack_starts_none_of_the_four(mine: Settings, stack: subprocess.Popen[str]) -> None:
    found = status(mine)
    assert found["away"] == {}
    assert {"kafka", "mongo"}.isdisjoint(row["name"] for row in found["services"])
    assert {path.name for path in mine.home.iterdir()}.isdisjoint({"kafka", "mongo", "lake"})


def test_alerts_reach_people_and_figures_are_those_of_the_lake(
    mine: Settings, stack: subprocess.Popen[str], cluster: spark_cluster.Cluster, keys: None
) -> None:
    simulate(mine, REPORTS, f"{DAYS[0]}T00:00:00Z")
    check_notified(mine)
    before = len(cluster.done())
    assert "computed at version" in peacewatch(mine, "aggregate", "--rebuild")
    assert len(cluster.done()) > before, cluster.state()  # Airflow has its own, too
    assert status(mine)["batch"]["engine"] == spark_engines.NATIVE
    check_figures(mine)


def test_airflow_submits_to_the_cluster(
    mine: Settings, stack: subprocess.Popen[str], cluster: spark_cluster.Cluster, keys: None
) -> None:
    before = len(cluster.done())
    simulate(mine, REPORTS, f"{DAYS[1]}T00:00:00Z")
    ran(mine, ("hourly_views", {}))
    assert len(cluster.done()) > before, cluster.state()
    assert status(mine)["batch"]["version"] > 0
    check_figures(mine)


def test_operators_actions_work_there(mine: Settings, stack: subprocess.Popen[str]) -> None:
    for dry_run in ((), ("--dry-run",)):
        peacewatch(mine, "compact", *dry_run)
        peacewatch(mine, "vacuum", *dry_run)
        peacewatch(mine, "trim-log", *dry_run)
    peacewatch(mine, "report", "build", "--day", DAYS[0])
    assert DAYS[0] in peacewatch(mine, "report", "list")
    page = httpx.get(f"{mine.web_url}/reports/{DAYS[0]}", timeout=30, follow_redirects=True)
    assert page.is_success, page.text
    peacewatch(mine, "rejects", "list")


def test_wrong_keys_are_one_sentence(mine: Settings, tmp_path: Path) -> None:
    wrong = environment(mine) | {"AWS_SECRET_ACCESS_KEY_FILE": "", "AWS_SECRET_ACCESS_KEY": "another"}
    said = subprocess.run(command("compact"), env=wrong, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr.startswith("peacewatch: the lake at s3://")
    assert said.stderr.count("\n") == 1
    gone = environment(mine) | {"AWS_SECRET_ACCESS_KEY_FILE": str(tmp_path / "none")}
    said = subprocess.run(command("compact"), env=gone, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert said.stderr.startswith("peacewatch: AWS_SECRET_ACCESS_KEY_FILE: ")


def check_notified(mine: Settings) -> None:
    """Once the channel shows as many alerts as there are in the topic, and there are some."""
    standin = f"http://{mine.host}:{mine.discord_port}"
    with closing(Watch(StackAddresses(mine.bootstrap, mine.lake_location, mine.mongo, standin))) as watch:

        def all_posted() -> bool:
            raised, channel = watch.raised(), watch.channel()
            return watch.unjudged() == 0 and channel is not None and 0 < sum(raised.values()) == channel.total

        wait_for(all_posted)


def check_figures(mine: Settings) -> None:
    """The API's answer over all days is that of a plain fold over the rows of the lake."""
    expected = statistics.averages(HOURS.fold(lakes.everything(mine.lake_location)))

    def asked() -> dict[str, Any]:
        query = {"from": DAYS[0], "to": DAYS[1]}
        answer = httpx.get(f"{mine.web_url}/api/v1/statistics/averages", params=query, timeout=60)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    wait_for(lambda: asked()["reports"] == expected["reports"])
    assert expected.items() <= asked().items()
