"""With a key, citizens' names stand in clear in the alert alone: whatever the product keeps is searched for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from bson import json_util
from deltalake import DeltaTable
from pymongo import MongoClient

from fleet import topics
from fleet.reports.pseudonyms import Pseudonyms
from infra.kafka.topics import TOPICS, create_topics
from laptop import ports
from laptop.services import kafka, mongo
from tests.support.kafka_messages import messages
from tests.support.landing import STARTED_AT, report, send
from tests.support.product import UNLIMITED, Product

pytestmark = pytest.mark.timeout(600)

KEY = "0123456789abcdef" * 2
WAIT_SECONDS = 180
CALM, SHOUTING, REJECTED = "Calmhilde", "Shoutmar", "Rejectrude"
LONG_RUNNING = ("land", "alerting", "notify", "record")


def seen(number: int, name: str, **changes: Any) -> dict[str, Any]:
    """Of a drone that is not low: that would be an alert, too."""
    return report(number, **{"citizens": [{"name": name, "peace_score": 2}], "battery": 80, **changes})


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """After a report without an alert, one with, and one that is rejected."""
    home = tmp_path_factory.mktemp("pseudonyms")
    broker, database = kafka.start(home, ports.free_port()), mongo.start(home, ports.free_port())
    create_topics(broker.address)
    places = {"PEACEWATCH_KAFKA_BOOTSTRAP": broker.address, "PEACEWATCH_MONGO_URI": database.uri}
    product = Product(home, places, {"land": {"PEACEWATCH_PSEUDONYM_KEY": KEY}})
    try:
        product.start_standin(**UNLIMITED)
        for command in LONG_RUNNING:
            product.start(command)
        product.start_page()
        wrong = seen(3, REJECTED, battery=900)
        send(broker.address, topics.REPORTS, [seen(1, CALM, alert=False), seen(2, SHOUTING, alert=True), wrong])
        product.wait(lambda: len(messages(broker.address, topics.REJECTED)) == 1, WAIT_SECONDS, "the rejected message")
        product.wait(lambda: (home / "lake" / "reports").exists() and len(landed(home)) == 2, WAIT_SECONDS, "the lake")
        product.wait(lambda: SHOUTING in notified(product), WAIT_SECONDS, "the alert in the channel")
        product.wait(lambda: SHOUTING in stored(database.uri), WAIT_SECONDS, "the alert in MongoDB")
        yield product
    finally:
        product.close()
        database.kill()
        broker.kill()


def landed(home: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = DeltaTable(str(home / "lake" / "reports")).to_pyarrow_table().to_pylist()
    return rows


def notified(product: Product) -> str:
    return httpx.get(f"{product.discord}/control/messages", timeout=30).text


def stored(uri: str) -> str:
    """All documents of all collections."""
    with MongoClient[dict[str, Any]](uri) as client:
        database = client.get_default_database()
        return json_util.dumps({name: list(database[name].find()) for name in database.list_collection_names()})


def test_the_lake_has_pseudonyms(product: Product) -> None:
    found = {row["report_id"]: row["citizens"][0]["name"] for row in landed(product.home)}
    assert found == {"r1": Pseudonyms(KEY).of_name(CALM), "r2": Pseudonyms(KEY).of_name(SHOUTING)}


def test_the_rejected_message_is_without_its_value_on_its_topic_and_on_the_page(product: Product) -> None:
    (message,) = messages(product.environ["PEACEWATCH_KAFKA_BOOTSTRAP"], topics.REJECTED)
    assert not message.value
    rejected = httpx.get(f"{product.page}/api/v1/rejects", timeout=60).raise_for_status().json()["newest"]
    assert [(row["reason"], row["excerpt"]) for row in rejected] == [("not a report", "")]


def test_a_withheld_message_is_traced_by_its_place(product: Product) -> None:
    traced = json.loads(product.run("trace", "drone-3", "r3", "--json").stdout)
    [rejected] = [step for step in traced["steps"] if step["where"] == "rejected"]
    assert (rejected["reason"], traced["state"]) == ("not a report", "rejected")
    assert REJECTED not in json.dumps(traced)


def test_a_withheld_message_is_not_replayed(product: Product) -> None:
    done = product.run("rejects", "replay")
    assert (
        "the value of a rejected message is withheld: replay it from the topic of reports" in done.stdout + done.stderr
    )
    assert len(readable(product, topics.REPORTS)) == 3


@pytest.mark.parametrize("name", [CALM, REJECTED])
def test_a_name_without_an_alert_stands_in_clear_nowhere(product: Product, name: str) -> None:
    assert name not in stored(product.environ["PEACEWATCH_MONGO_URI"])
    assert name not in notified(product)
    for topic in TOPICS.keys() - {topics.REPORTS}:  # the drones' own messages, as they sent them
        assert name not in json.dumps([repr((one.key, one.value, one.headers)) for one in readable(product, topic)])
    assert files_with(product.home, name) == []


def test_the_name_of_an_alert_stands_in_clear_in_the_alert_alone(product: Product) -> None:
    kept = json_util.loads(stored(product.environ["PEACEWATCH_MONGO_URI"]))
    assert {name for name, documents in kept.items() if SHOUTING in json_util.dumps(documents)} <= ALERTS_IN_MONGO
    topics_with = {topic for topic in TOPICS if any(SHOUTING in str(one.value) for one in readable(product, topic))}
    assert topics_with - {topics.REPORTS} <= {topics.ALERTS, topics.DELIVERIES}
    assert [file for file in files_with(product.home, SHOUTING) if "discord" not in file.parts] == []


def test_batch_reports_api_trace_and_backup_add_no_clear_name(product: Product) -> None:
    day = STARTED_AT.date()
    product.run("aggregate")
    product.run("report", "build", "--day", day)
    product.run("backup", "--to", product.home / "kept")
    said = {str(number): product.run("trace", f"drone-{number}", f"r{number}").stdout for number in (1, 2, 3)}
    query = f"date={day}&country=France"
    for path in (
        f"reports?{query}",
        f"reports?{query}&drone=drone-1",
        "drones",
        "rejects",
        "status",
        "places",
        "alerts",
    ):
        said[path] = httpx.get(f"{product.page}/api/v1/{path}", timeout=60).raise_for_status().text
    incidents = httpx.get(f"{product.page}/api/v1/incidents", timeout=60).raise_for_status().json()["incidents"]
    said["incidents"] = json.dumps(incidents)
    for name in (CALM, REJECTED):
        assert [where for where, text in said.items() if name in text] == []
        assert [file for file, content in kept(product.home) if name.encode() in content] == []
        assert files_with(product.home, name) == []
    assert {where for where, text in said.items() if SHOUTING in text} <= {"2", "alerts", "incidents"}
    assert {file for file, content in kept(product.home) if SHOUTING.encode() in content} <= ALERTS_IN_MONGO
    assert [file for file in files_with(product.home, SHOUTING) if "discord" not in file.parts] == []
    assert SHOUTING in said["incidents"], "a peacekeeper acts on it"


def kept(home: Path) -> Iterator[tuple[str, bytes]]:
    """Each file of the backup, unpacked, by its collection or its path."""
    for file in (home / "kept").rglob("*.bson.zst"):
        with pa.CompressedInputStream(pa.OSFile(str(file)), "zstd") as unpacked:
            yield file.name.partition("-")[0], unpacked.read()


ALERTS_IN_MONGO = {"alerts", "incidents", "deliveries"}


def readable(product: Product, topic: str) -> list[Any]:
    return messages(product.environ["PEACEWATCH_KAFKA_BOOTSTRAP"], topic)


def files_with(home: Path, name: str) -> list[Path]:
    """Of the product: logs, the lake and whatever else it writes. Kafka and MongoDB were asked for theirs."""
    services = {"kafka", "mongo"}
    files = [file for file in home.rglob("*") if file.is_file() and not services & set(file.relative_to(home).parts)]
    return [file for file in files if name.encode() in file.read_bytes()]
