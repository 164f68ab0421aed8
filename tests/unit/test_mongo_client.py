"""The one place that makes clients of MongoDB, and what it says of errors."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import AutoReconnect, BulkWriteError, DocumentTooLarge, OperationFailure, WriteError

from fleet.errors import DocumentRefused, PeacewatchError, ServiceUnavailable
from infra.mongo import client

ROOT = Path(__file__).parents[2]
PRODUCTION = ("fleet", "infra", "speed_layer", "batch_layer", "serving", "laptop", "cli", "dags")


def test_clients_are_made_in_one_place() -> None:
    makers = [
        str(path.relative_to(ROOT))
        for room in PRODUCTION
        for path in (ROOT / room).rglob("*.py")
        if any(isinstance(node, ast.Call) and "MongoClient" in ast.unparse(node.func) for node in _nodes(path))
    ]
    assert makers == ["infra/mongo/client.py"]


def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def test_a_client_writes_and_reads_with_majority() -> None:
    with client.client("mongodb://localhost:1/somewhere", "test") as connected:
        database = client.database(connected)
        assert database.name == "somewhere"
        assert database.write_concern.document == {"w": "majority", "wtimeout": client.MAJORITY_MS}
        assert database.read_concern.document == {"level": "majority"}
        assert connected.codec_options.tz_aware


def test_a_uri_without_a_database_has_the_default_one() -> None:
    with client.client("mongodb://localhost:1", "test") as connected:
        assert client.database(connected).name == client.DEFAULT_DATABASE


def test_a_uri_cannot_weaken_what_is_written() -> None:
    with client.client("mongodb://localhost:1/?w=1&readConcernLevel=local", "test") as connected:
        assert connected.write_concern.document["w"] == "majority"
        assert connected.read_concern.document == {"level": "majority"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DocumentTooLarge("update command document too large"), DocumentRefused),
        (InvalidDocument("cannot encode object"), DocumentRefused),
        (OperationFailure("BSONObj size: 17000056 is invalid", 10334), DocumentRefused),
        (WriteError("Document to upsert is larger than 16777216", 17420), DocumentRefused),
        (BulkWriteError({"writeErrors": [{"code": 17420}]}), DocumentRefused),
        (BulkWriteError({"writeErrors": [{"code": 17420}, {"code": 11600}]}), ServiceUnavailable),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}), ServiceUnavailable),
        (OperationFailure("not primary", 10107), ServiceUnavailable),
        (AutoReconnect("connection closed"), ServiceUnavailable),
    ],
)
def test_what_is_refused_for_good_is_not_called_unavailable(error: Exception, kind: type[PeacewatchError]) -> None:
    with pytest.raises(kind), client.errors():
        raise error
