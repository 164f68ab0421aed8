"""Real services for the tests that ask for them: started once a run, on free ports, in a folder that goes away.

`kafka` is a bootstrap address, `mongo_uri` a server's URI; `topic` makes topics and `mongo_database` a database that no
other test sees. A service that does not start fails the tests; it never skips them. Side by side, all workers use one
Kafka and one MongoDB, which belong to the process that hands out the tests.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from xdist.scheduler import LoadFileScheduling

from fleet import topics
from fleet.errors import ServiceUnavailable
from infra.kafka.topics import TOPICS, TopicSettings
from laptop import ports
from laptop.services import kafka as kafka_server
from laptop.services import mongo as mongo_server
from tests.support import examples

BROWSER: Final = "tests/browser/"

PRODUCTS_NAMES: Final = (
    *("test_doctor", "test_feed_commands", "test_images", "test_json_logs", "test_local_kafka", "test_operations_port"),
    *("test_roles", "test_two_schedulers"),
)
"""Files that use Kafka's topics and groups by the names that they have in the product: one after the other."""

SERVICES: Final = pytest.StashKey[dict[str, str]]()
"""The addresses of the services that all workers share."""

LONGEST = (
    "test_stack",
    "test_demo",
    "test_original_data",
    "test_alert_kills",
    "test_landing_kills",
    "test_landing_outages",
    "test_batch_spark",
)
"""Files that take minutes go first, so that no worker is left alone with one at the end."""


class Scheduling(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """A file at a time to a worker; more than one where they share a whole stack, or names in the one Kafka."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(BROWSER):
            return BROWSER
        file = str(super()._split_scope(nodeid))
        return "the product's names" if Path(file).stem in PRODUCTS_NAMES else file


def pytest_configure(config: pytest.Config) -> None:
    examples.configure(config)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return Scheduling(config, log)


def pytest_configure_node(node: Any) -> None:
    """xdist calls it for each worker, where the tests are handed out."""
    config = node.config
    if SERVICES not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="peacewatch-tests-")
        config.add_cleanup(folder.cleanup)
        broker = _start_kafka(Path(folder.name))
        config.add_cleanup(broker.kill)  # nothing of it is kept, so it need not end well
        server = mongo_server.start(Path(folder.name), ports.free_port())
        config.add_cleanup(server.kill)
        config.stash[SERVICES] = {"kafka": broker.address, "mongo": server.uri}
    node.workerinput.update(config.stash[SERVICES])


def _start_kafka(folder: Path) -> kafka_server.Broker:
    try:
        return kafka_server.start(folder, ports.free_port())
    except ServiceUnavailable as error:
        log = (folder / "log" / "kafka.log").read_text(errors="replace").splitlines()
        pytest.fail("\n".join([str(error), *log[-30:]]))


def _shared(request: pytest.FixtureRequest, service: str) -> str | None:
    """The address of a service that all workers share; None where this process runs all tests."""
    address: str | None = getattr(request.config, "workerinput", {}).get(service)
    return address


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> None:
    """No setting of the machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("PEACEWATCH_") and name != "PEACEWATCH_ORIGINAL_DATA"]:
        del os.environ[name]


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a real Kafka."""
    if address := _shared(request, "kafka"):
        yield address
        return
    broker = _start_kafka(tmp_path_factory.mktemp("kafka"))
    yield broker.address
    broker.kill()


@pytest.fixture(scope="session")
def mongo_server_uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if address := _shared(request, "mongo"):
        yield address
        return
    server = mongo_server.start(tmp_path_factory.mktemp("mongo"), ports.free_port())
    yield server.uri
    server.kill()


@pytest.fixture
def mongo_uri(mongo_server_uri: str) -> Iterator[str]:
    """The URI of an empty database of this test's own on a real MongoDB."""
    name = f"test_{uuid.uuid4().hex}"
    yield mongo_server_uri.replace(f"/{mongo_server.DATABASE}?", f"/{name}?")
    with MongoClient[dict[str, Any]](mongo_server_uri) as client:
        client.drop_database(name)


@pytest.fixture
def mongo_database(mongo_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """The database of `mongo_uri`."""
    with MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as client:
        yield client.get_default_database()


@pytest.fixture
def topic(kafka: str) -> Callable[..., str]:
    """`topic(kind="reports", partitions=2)`: the name of a new topic with the settings of that kind."""

    def make(kind: str = topics.REPORTS, partitions: int = 2) -> str:
        name = f"{kind}-{uuid.uuid4().hex}"
        kafka_server.create_topics(kafka, {name: TopicSettings(partitions, TOPICS[kind].config)})
        return name

    return make


@pytest.fixture
def free_port() -> int:
    return ports.free_port()
