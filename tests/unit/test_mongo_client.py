"""The one place that makes clients of MongoDB, and what it says of errors."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from typing import Any

import pytest
from bson.errors import InvalidDocument
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteError,
)
from structlog.testing import capture_logs

from fleet.errors import BadSettings, DocumentRefused, PeacewatchError, ServiceUnavailable
from infra import retry
from infra.mongo import client, problems
from speed_layer.landing.live_thread import LiveThread
from speed_layer.landing.live_views import Pending

ROOT = Path(__file__).parents[2]
PRODUCTION = ("fleet", "infra", "speed_layer", "batch_layer", "serving", "laptop", "cli", "dags")


@pytest.mark.parametrize("call", ["MongoClient", "create_index"])
def test_clients_and_indexes_are_made_in_one_place(call: str) -> None:
    """An index by MongoDB's default waits for all members of the set (client.build_index)."""
    makers = [
        str(path.relative_to(ROOT))
        for room in PRODUCTION
        for path in (ROOT / room).rglob("*.py")
        if any(isinstance(node, ast.Call) and call in ast.unparse(node.func) for node in _nodes(path))
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
    ("uri", "complaint"),
    [
        ("", "Empty host"),
        ("http://db", "Invalid URI scheme"),
        ("mongodb://[::1/x", "an IPv6 address literal must be enclosed"),
        ("mongodb://db:99999/x", "Port must be an integer between 0 and 65535"),
        ("mongodb://db:mongo/x", "Port contains non-digit characters"),
        ("mongodb://me@db/?authMechanism=SCRAM-SHA-256", "A password is required"),
        *((f"mongodb://me:{secret}@db/x", "") for secret in ("hunter2@", "hunter2/", "hunter2?", "hunter2%zz")),
        *((f"mongodb://me:hunter2?{secret}@db/x", "user and password must be") for secret in ("hunter2", "a=hunter2")),
        *((f"{scheme}://db/?tls=yes", "The value of tls must be") for scheme in ("mongodb", "mongodb+srv")),
        ("mongodb://db/?tlsCaFiles=/ca.pem", "Unknown option: tlscafiles"),
        ("mongodb://db/?socketTimeoutMS=soon", "sockettimeoutms must be an integer or float"),
        ("mongodb://db/?tls=true&tlsCAFile=/nowhere", "No such file or directory: /nowhere"),
        (f"mongodb://db/?tls=true&tlsCAFile={__file__}", r"tlsCAFile: no certificate \(PEM\) in "),
        (f"mongodb://db/?tls=true&tlsCertificateKeyFile={__file__}", "tlsCertificateKeyFile: no certificate with its"),
    ],
)
def test_wrong_uri_is_a_wrong_setting_and_not_retried(uri: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=f"^PEACEWATCH_MONGO_URI: {complaint}") as raised:
        client.client(uri, "test")
    assert "hunter2" not in str(raised.value)
    with pytest.raises(BadSettings):  # a thread would retry for ever
        LiveThread(uri, str(tmp_path), Pending(), lambda _point: None)


@pytest.mark.parametrize("password", ["", "&tlsCertificateKeyFilePassword=wrong"])
def test_a_key_with_a_password_is_named_and_nobody_is_asked_for_it(tmp_path: Path, password: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem, locked = serialization.Encoding.PEM, serialization.BestAvailableEncryption(b"right")
    file = tmp_path / "key"
    file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))
    with pytest.raises(BadSettings, match=r"tlsCertificateKeyFile: .*password"):
        client.client(f"mongodb://db/?tls=true&tlsCertificateKeyFile={file}{password}", "test")


def test_a_name_that_dns_does_not_know_now_is_an_outage() -> None:
    with pytest.raises(ServiceUnavailable), client.connect("mongodb+srv://nowhere.invalid/x", wait_ms=100) as database:
        database.command("ping")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OperationFailure("Authentication failed.", 18),
            "it refuses our user or password (PEACEWATCH_MONGO_URI): Auth",
        ),
        (
            OperationFailure(
                'not authorized on x to execute command { insert: "a", documents: [ { heard: "Mara" } ] }', 13
            ),
            "its user lacks the role readWrite on our database (PEACEWATCH_MONGO_URI): not authorized on x",
        ),
        (ServerSelectionTimeoutError("db:1: refused (configured timeouts: a), Timeout: 5s, Topology"), "db:1: refused"),
        (ServerSelectionTimeoutError("no primary, Timeout: 5s, Topology Description: <…>"), "no primary"),
    ],
)
def test_refusal_names_its_cause_and_not_the_request(error: Exception, said: str) -> None:
    with pytest.raises(ServiceUnavailable) as raised, client.errors():
        raise error
    text = str(raised.value)
    assert text.startswith(f"MongoDB does not answer: {said}")
    assert "Mara" not in text
    assert "Timeout" not in text


WITNESS = {"q": {"_id": "1"}, "u": {"$set": {"citizens": [{"name": "Mara"}]}}}
DUPLICATE = {"index": 0, "code": 11000, "errmsg": "E11000 duplicate key error collection: p.incidents", "op": WITNESS}
REFUSED = {"index": 0, "code": 121, "errmsg": "Document failed validation", "op": WITNESS}
SLOW_MAJORITY = {"code": 64, "errmsg": "waiting for replication timed out"}


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"writeErrors": [DUPLICATE], "writeConcernErrors": []}, "E11000 duplicate key error collection: p.incidents"),
        (
            {"writeErrors": [REFUSED, DUPLICATE], "writeConcernErrors": [SLOW_MAJORITY]},
            "Document failed validation; 3 writes failed",
        ),
        ({"writeErrors": [], "writeConcernErrors": [SLOW_MAJORITY]}, "waiting for replication timed out"),
        ({"writeErrors": [{"index": 0, "code": 8, "op": WITNESS}]}, "a write failed"),
        ({}, "a write failed"),
    ],
)
def test_a_reason_has_nothing_of_the_documents(details: dict[str, Any], said: str) -> None:
    """pymongo's own text has each of them, with what citizens are called: it went to the log of `record`."""
    error, stop = BulkWriteError(details), threading.Event()
    assert client.reason(error) == said

    def session() -> None:
        raise error

    with capture_logs() as lines:
        retry.run(session, stop, "recorder", away=(PyMongoError,), failed=lambda _: stop.set())
    assert [line["reason"] for line in lines] == [f"BulkWriteError: {said}"]


@pytest.mark.parametrize("refused", [REFUSED, {**REFUSED, "code": 17420}])
def test_a_problem_that_people_see_has_nothing_of_the_documents(refused: dict[str, Any]) -> None:
    def write() -> None:
        raise BulkWriteError({"writeErrors": [refused]})

    assert problems.refusal(write) == "Document failed validation"


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
def test_permanent_refusal_is_not_called_unavailable(error: Exception, kind: type[PeacewatchError]) -> None:
    with pytest.raises(kind), client.errors():
        raise error
