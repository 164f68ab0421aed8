"""Three MongoDB servers with TLS and a password: the primary steps down or is killed while figures are published, while
a report is built, and under load.

Every figure is what it would have been without.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import PyMongoError

from batch_layer.completeness import completeness as checked
from batch_layer.job import Job
from batch_layer.views import drones, hours
from cli.doctor import stores as doctor
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra.kafka.topics import create_topics
from infra.mongo import client, runs
from laptop import ports
from laptop.services import kafka
from serving.config import Config
from serving.figures.merge import Merge
from serving.report import facts, nightly
from serving.report.build import OfficersDay
from serving.report.store import ReportStore
from serving.services import connect
from tests.soak import served
from tests.support import lakes, load, verdict
from tests.support.product import UNLIMITED, Product
from tests.support.replica_set import ReplicaSet, replica_set
from tests.support.report_views import DAY, HOUR, NOW, cells, completeness, land
from tests.support.secured_kafka import Authority
from tests.support.under_load import WAIT_SECONDS, settled, wait_more
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
FIRST_HOUR = int(lakes.START.timestamp()) // 3600
ASKED = range(FIRST_HOUR, FIRST_HOUR + 6)
RATE = 150


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    home = tmp_path_factory.mktemp("three")
    with replica_set(home, Authority(home, "authority")) as found:
        yield found


@dataclass
class Departure:
    """The primary goes at the call of the number `at`."""

    servers: ReplicaSet
    how: str
    at: int = 1
    calls: int = 0
    killed: int | None = None

    def __call__(self) -> None:
        self.calls += 1
        if self.calls != self.at:
            return
        if self.how == "steps down":
            self.servers.step_down()
        else:
            self.killed = self.servers.kill_primary()

    def mend(self) -> None:
        """Starts again what was killed."""
        assert self.calls >= self.at, "the primary has not gone"
        if self.killed is not None:
            self.servers.restart(self.killed)
        wait_for(lambda: self.servers.primary() is not None, passing=(PyMongoError,))


@pytest.fixture(params=["steps down", "is killed"])
def departure(servers: ReplicaSet, request: pytest.FixtureRequest) -> Departure:
    return Departure(servers, request.param)


@pytest.fixture
def uri(servers: ReplicaSet, request: pytest.FixtureRequest) -> str:
    """Of a database of the test's own: what an earlier one has published would hide what is lost in this one."""
    name = re.sub(r"\W", "_", request.node.name)[-60:]
    return servers.uri.replace("/peacewatch?", f"/{name}?")


@dataclass(frozen=True)
class Interrupted:
    """An engine that computes as always, and has something happen before each answer."""

    happens: Callable[[], object]
    name: str = "pyarrow"

    def cells(self, cube: Any, pinned: Any, wanted: Sequence[int]) -> Any:
        self.happens()
        return lakes.ArrowEngine().cells(cube, pinned, wanted)


def test_no_figure_is_lost_when_the_primary_goes(departure: Departure, uri: str, tmp_path: Path) -> None:
    """Between the documents of the first hours and those of the others."""
    lakes.make(tmp_path)
    for number in range(3):
        lakes.land(tmp_path, lakes.some_rows(60, seed=number, hours=6, first=number * 60))
    departure.at = 2

    @contextmanager
    def start() -> Iterator[Any]:
        yield Interrupted(departure)

    with client.connect(uri, "test") as database:
        job = Job(database, str(tmp_path), lakes.arrow_engine, live_kept=timedelta(0), chunk=2)
        try:
            hours.run(Job(database, str(tmp_path), start, live_kept=timedelta(0), chunk=2))
        except ServiceUnavailable:
            wait_for(lambda: departure.servers.primary() is not None, passing=(PyMongoError,))
            hours.run(job)
        newest = runs.newest(database)
        assert newest is not None
        assert (newest["version"], database.hours.count_documents({})) == (3, 6)
        answer = Merge(database, 0).served(ASKED)
        assert HOURS.merge(list(answer.hours.values())).equals(HOURS.fold(lakes.everything(tmp_path)))
    departure.mend()
    with client.connect(uri, "test") as database:
        job = Job(database, str(tmp_path), lakes.arrow_engine)
        drones.run(job)
        checked.run(job)
        assert database.completeness.count_documents({}) == 1


def test_a_nightly_report_is_the_same_when_the_primary_goes(departure: Departure, uri: str, tmp_path: Path) -> None:
    views = connect(Config(mongo_uri=uri, max_age=0))

    def now() -> datetime:
        """The clock is asked right before the figures are gathered."""
        departure()
        return NOW

    try:
        land(views, 0, cells(HOUR - 24, 900, 9), cells(HOUR + 8, 12_345, 67), cells(HOUR + 20, 5, 0, "España"))
        completeness(views, expected=12_400, late=3)
        undisturbed, disturbed = (ReportStore(str(tmp_path / name)) for name in ("undisturbed", "disturbed"))
        first, _ = nightly.build(nightly.ReportDesk(views, undisturbed, now=lambda: NOW), OfficersDay(DAY))
        desk = nightly.ReportDesk(views, disturbed, now=now)
        try:
            second, _ = nightly.build(desk, OfficersDay(DAY))
        except (ServiceUnavailable, PyMongoError):  # Airflow runs the task again
            wait_for(lambda: departure.servers.primary() is not None, passing=(PyMongoError,))
            second, _ = nightly.build(desk, OfficersDay(DAY))
    finally:
        views.close()
    assert figures(disturbed.facts(second)) == figures(undisturbed.facts(first))
    departure.mend()


def test_the_primary_goes_under_load_and_nothing_is_lost_or_doubled(
    servers: ReplicaSet, uri: str, tmp_path: Path
) -> None:
    """All processes go on, and each departure meets a batch run."""
    broker, notes = kafka.start(tmp_path, ports.free_port()), tmp_path / "acknowledged.csv"
    create_topics(broker.address)
    product = Product(tmp_path, {"PEACEWATCH_KAFKA_BOOTSTRAP": broker.address, "PEACEWATCH_MONGO_URI": uri})
    try:
        product.start_standin(**UNLIMITED)
        for command in ("land", "alerting", "notify", "record"):
            product.start(command)
        product.start_page()
        running = load.start(broker.address, notes, rate=RATE, alerts=0.02)
        for how in ("steps down", "is killed"):
            wait_more(product, notes)
            run, departure = product.start("aggregate"), Departure(servers, how)
            departure()
            wait_more(product, notes)
            departure.mend()
            assert run.process.wait(WAIT_SECONDS) in (0, 2), product.tail()
            product.running.pop("aggregate")
        said = running.stop()
        assert (said["failed"], said["acknowledged"]) == (0, said["sent"])
        lake = str(tmp_path / "lake")
        found = settled(product, verdict.Evidence(broker.address, lake, (notes,), tmp_path / "discord"))
        print(said, found, sep="\n")
        assert found.wrong == []
        product.run("aggregate")
        product.wait(lambda: served.differences(product.page, lake, {}) == [], WAIT_SECONDS, "equal figures")
        assert "Traceback" not in product.tail(1 << 20)
    finally:
        product.close()
        broker.kill()


def figures(report: facts.DayReport) -> tuple[object, ...]:
    return report.headline, report.statistics, report.drones, report.quality, report.state


def test_doctor_names_a_user_who_may_not_write(servers: ReplicaSet) -> None:
    with client.client(servers.uri, "test") as connected:
        connected.admin.command("createUser", "reader", pwd="of-a-book", roles=[{"role": "read", "db": "peacewatch"}])
    credentials = servers.uri.partition("//")[2].partition("@")[0]
    found = {one.what: one for one in doctor.check_mongo(servers.uri.replace(credentials, "reader:of-a-book"))}
    assert (found["replica set"].verdict, found["replica set"].said) == ("fine", "three, 3 members")
    assert (found["may write"].verdict, "readWrite" in found["may write"].mend) == ("wrong", True)
    assert "of-a-book" not in str(found)


def test_without_tls_nobody_is_let_in(servers: ReplicaSet) -> None:
    plain = f"{servers.uri.partition('&tls=true')[0]}&serverSelectionTimeoutMS=3000"
    with pytest.raises(ServiceUnavailable), client.connect(plain, "test") as database:
        database.runs.find_one({})


def test_a_wrong_password_is_one_sentence_without_it(servers: ReplicaSet) -> None:
    wrong = servers.uri.replace("mongodb://peacewatch:", "mongodb://peacewatch:x")
    with pytest.raises(ServiceUnavailable, match="Authentication failed") as error, client.connect(wrong) as database:
        database.runs.find_one({})
    assert servers.uri.partition("@")[0].rpartition(":")[2] not in str(error.value)
