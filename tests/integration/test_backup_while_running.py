"""A backup that is taken while everything runs and writes, restored into an empty MongoDB: the API answers the same.

What the writers do after the backup is not in it. The lake and Kafka have that, so after the restore the recorder, the
lander and `aggregate` add it: nothing of the time between the backup and the loss of MongoDB is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pymongo import MongoClient

from laptop import ports
from laptop.services import kafka, mongo
from tests.support import load
from tests.support.product import NOTHING, UNLIMITED, Product

RATE: Final = 120
DRONES: Final = 50
WRITERS: Final = ("land", "alerting", "notify", "record")
SECONDS: Final = 120

DAY: Final = datetime.now(UTC).date()
FIGURES: Final = ("averages", "alerts-by-part-of-day", "alerts-by-country", "series", "low-battery", "cities")
OF_MOMENTS: Final = {"version", "as_of", "batch_version"}
"""Fields that name when an answer was computed, not what it says."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple[Product, str]]:
    """Kafka, MongoDB, the stand-in, and the product on them; the URI of another, empty database."""
    broker = kafka.start(tmp_path, ports.free_port())
    kafka.create_topics(broker.address)
    database = mongo.start(tmp_path, ports.free_port())
    environ = {
        "PEACEWATCH_KAFKA_BOOTSTRAP": broker.address,
        "PEACEWATCH_MONGO_URI": database.uri,
        "PEACEWATCH_LAKE": str(tmp_path / "lake"),
        "PEACEWATCH_INCIDENT_QUIET_SECONDS": "86400",  # no incident ends by itself meanwhile
    }
    product = Product(tmp_path, environ, NOTHING)
    try:
        product.start_standin(**UNLIMITED)
        yield product, database.uri.replace("/peacewatch?", "/restored?")
    finally:
        product.close()
        database.kill()
        broker.kill()


def ask(product: Product, path: str, **query: Any) -> dict[str, Any]:
    answer = httpx.get(f"{product.page}/api/v1/{path}", params=query, timeout=60)
    assert answer.is_success, (path, answer.text)
    return {name: value for name, value in answer.json().items() if name not in OF_MOMENTS}


def act(product: Product, path: str, **body: Any) -> None:
    httpx.post(f"{product.page}/api/v1/{path}", json=body, timeout=60).raise_for_status()


def alerts_of(product: Product) -> int:
    return sum(incident["alerts"] for incident in ask(product, "incidents", limit=500)["incidents"])


def answers(product: Product) -> dict[str, Any]:
    """All that people and programs see of what the writers wrote."""
    found = {name: ask(product, f"statistics/{name}", **{"from": DAY, "to": DAY}) for name in FIGURES}
    found |= {name: ask(product, name, limit=500) for name in ("alerts", "incidents", "actions")}
    found |= {name: ask(product, name) for name in ("silences", "places")}
    for incident in found["incidents"]["incidents"]:
        found[incident["incident_id"]] = ask(product, f"incidents/{incident['incident_id']}")
    return found


@pytest.mark.slow
def test_api_answers_the_same_after_restoring_a_backup_taken_while_all_write(
    stack: tuple[Product, str], tmp_path: Path
) -> None:
    product, emptied = stack
    for command in WRITERS:
        product.start(command)
    product.start_page()
    kafka_address = product.environ["PEACEWATCH_KAFKA_BOOTSTRAP"]
    feed = load.start(kafka_address, tmp_path / "notes.csv", rate=RATE, drones=DRONES)
    product.wait(lambda: alerts_of(product) > 3, SECONDS, "the first incidents")
    first = ask(product, "incidents")["incidents"][-1]["incident_id"]
    act(product, f"incidents/{first}/acknowledge", by="Mara", note="on my way")
    act(product, "silences", city="Lima", minutes=600, by="Mara")
    product.run("aggregate")

    seen = alerts_of(product)
    product.run("backup", "--to", tmp_path / "kept")
    product.wait(lambda: alerts_of(product) > seen + 3, SECONDS, "alerts after the backup")
    act(product, f"incidents/{first}/resolve", by="Noor", note="over")
    product.run("backup", "--to", tmp_path / "later")

    sent = feed.stop()
    assert sent["failed"] == 0
    raised = ask(product, "statistics/averages")["reports"]
    product.wait(lambda: ask(product, "statistics/averages")["reports"] == sent["acknowledged"], SECONDS, str(raised))
    flagged = len(range(0, sent["sent"], 100))
    product.wait(lambda: alerts_of(product) == flagged, SECONDS, f"{flagged} alerts in incidents")
    product.wait(lambda: not ask(product, "alerts", state="undelivered")["alerts"], SECONDS, "all delivered")
    product.run("aggregate")
    before = answers(product)
    product.stop()

    product.environ["PEACEWATCH_MONGO_URI"] = emptied
    product.run("restore", "--from", tmp_path / "kept")
    with MongoClient[dict[str, Any]](emptied) as client:
        restored = client.get_default_database()
        assert 0 < restored.alerts.count_documents({}) < flagged, "the backup is of while they were raised"
        assert restored.actions.count_documents({}) == 2, "and of before the incident was resolved"
    for command in ("land", "record"):
        product.start(command)
    product.run("aggregate")
    product.start_page()
    product.wait(lambda: not different(answers(product), before), SECONDS, "the same answers")

    # Last states of drones are of the backup until the next report of their partition: the fleet flies on.
    more = load.start(kafka_address, tmp_path / "more.csv", rate=RATE, drones=DRONES, first=sent["sent"], seconds=3)
    total = sent["acknowledged"] + more.wait()["acknowledged"]
    product.wait(lambda: ask(product, "statistics/averages")["reports"] == total, SECONDS, f"{total} reports")
    latest = {f"d{number % DRONES}": 40 + number % 600 / 10 for number in range(total)}  # as tests.support.load sends
    product.wait(lambda: batteries(product) == latest, SECONDS, "the newest state of all drones")


def batteries(product: Product) -> dict[str, float]:
    rows = ask(product, "drones", limit=500)["drones"]
    return {row["drone_id"]: row["battery"] for row in rows if row["worst_score"] is not None}


def different(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """The names of the answers that differ."""
    names = [name for name in wanted if found.get(name) != wanted[name]] + sorted(found.keys() - wanted.keys())
    print(*(f"{name}: {found.get(name)}\n  {wanted.get(name)}" for name in names), sep="\n")
    return names
