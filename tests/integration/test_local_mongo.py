"""The local MongoDB keeps what it acknowledged, whatever ends it, and leaves no process behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from fleet.errors import ServiceUnavailable
from laptop import ports
from laptop.services import mongo


@pytest.fixture
def servers() -> Iterator[list[mongo.Mongo]]:
    """Servers that a test starts; what it leaves is killed."""
    started: list[mongo.Mongo] = []
    yield started
    for server in started:
        server.kill()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_acknowledged_writes_survive_the_end_of_the_server(
    tmp_path: Path, servers: list[mongo.Mongo], end: str
) -> None:
    servers.append(mongo.start(tmp_path, ports.free_port()))
    with MongoClient[dict[str, Any]](servers[0].uri) as client:
        client.get_default_database().things.insert_many([{"_id": number} for number in range(1000)])

    getattr(servers[0], end)()
    assert not psutil.pid_exists(servers[0].pid)

    servers.append(mongo.start(tmp_path, ports.free_port()))  # another port: the set learns its new address
    with MongoClient[dict[str, Any]](servers[1].uri) as client:
        assert client.get_default_database().things.count_documents({}) == 1000
    servers[1].stop()
    assert not psutil.pid_exists(servers[1].pid)


def test_it_has_snapshots_and_transactions(mongo_database: Database[dict[str, Any]]) -> None:
    mongo_database.things.insert_one({"_id": 1, "value": "old"})
    client = mongo_database.client
    with client.start_session(snapshot=True) as session:
        assert mongo_database.things.find_one({"_id": 1}, session=session)
        with client.start_session() as writer, writer.start_transaction():
            mongo_database.things.update_one({"_id": 1}, {"$set": {"value": "new"}}, session=writer)
        then = mongo_database.things.find_one({"_id": 1}, session=session)
    now = mongo_database.things.find_one({"_id": 1})
    assert (then or {})["value"] == "old"
    assert (now or {})["value"] == "new"


def test_a_taken_port_is_one_sentence(tmp_path: Path, mongo_server_uri: str) -> None:
    port = int(mongo_server_uri.split("/")[2].rpartition(":")[2])
    with pytest.raises(ServiceUnavailable, match=rf"MongoDB cannot use port {port} .*; set PEACEWATCH_MONGO_PORT"):
        mongo.start(tmp_path, port)
