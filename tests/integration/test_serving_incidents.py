"""Alerts and incidents over a real MongoDB: pages, filters, and one incident with all that belongs to it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from fleet.alerts.alert import Alert
from fleet.notifications import incident
from fleet.notifications.delivery import Delivery
from infra.mongo.incidents import delivery_updates, incident_updates
from tests.integration.test_serving_api import NOON, client, put_alert

Documents = Database[dict[str, Any]]
__all__ = ["client"]  # the fixture


def test_pages_neither_skip_nor_repeat_while_alerts_arrive(client: FlaskClient, mongo_database: Documents) -> None:
    chance = random.Random(7)
    times = [NOON + timedelta(milliseconds=chance.randrange(40)) for _ in range(100)]  # many at the same time
    for number, at in enumerate(times):
        put_alert(mongo_database, number, at)
    known = {f"unrest/{number:04}" for number in range(100)}
    seen, cursor, arrived = [], "", 100
    while True:
        answer = client.get(f"/api/v1/alerts?limit=7{cursor}").get_json()
        seen += [(row["raised_at"], row["alert_id"]) for row in answer["alerts"]]
        put_alert(mongo_database, arrived, NOON + timedelta(seconds=arrived))
        arrived += 1
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen))
    assert {alert_id for _, alert_id in seen} == known


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=silent", ["0002"]),
        ("severity=critical", ["0001"]),
        ("drone=drone-0", ["0000"]),
        ("city=Nice", ["0001"]),
        ("incident=i2", ["0002"]),
        ("state=delivered", ["0000"]),
        ("state=undelivered", ["0002", "0001"]),
        ("since=2026-11-24T12:00:01Z", ["0002", "0001"]),
        ("until=2026-11-24T13:00:01%2B01:00", ["0000"]),
    ],
)
def test_filters(client: FlaskClient, mongo_database: Documents, query: str, expected: list[str]) -> None:
    put_alert(mongo_database, 0, NOON, delivered_at=NOON)
    put_alert(mongo_database, 1, NOON + timedelta(seconds=1), severity="critical", city="Nice")
    put_alert(mongo_database, 2, NOON + timedelta(seconds=2), kind="silent", incident_id="i2")
    mongo_database.alerts.insert_one({"_id": "delivered before it was recorded", "delivered_at": NOON})
    rows = client.get(f"/api/v1/alerts?{query}").get_json()["alerts"]
    assert [row["alert_id"] for row in rows] == [f"unrest/{number}" for number in expected]


def test_an_incident_has_its_alerts_and_messages(client: FlaskClient, mongo_database: Documents) -> None:
    open_one: dict[str, Any] = {
        "kind": "unrest",
        "severity": "high",
        "state": "open",
        "country": "France",
        "city": "Lyon",
    }
    open_one |= {"since": NOON, "last": NOON, "alerts": 2, "worst_score": 0, "messages": ["m1"], "message_id": "m1"}
    mongo_database.incidents.insert_one({"_id": "i1", **open_one})
    put_alert(mongo_database, 1, NOON)
    (row,) = client.get("/api/v1/incidents?state=open").get_json()["incidents"]
    assert (row["incident_id"], row["worst_score"], row["acknowledged_by"]) == ("i1", None, None)
    incident = client.get("/api/v1/incidents/i1").get_json()
    assert ([alert["alert_id"] for alert in incident["recent_alerts"]], incident["messages"]) == (
        ["unrest/0001"],
        ["m1"],
    )


def test_incident_lists_its_deliveries(client: FlaskClient, mongo_database: Documents) -> None:
    alerts = [
        Alert(f"a{n}", "unrest", "high", "unrest/Lyon", str(n), "d1", NOON, NOON, "France", "Lyon") for n in (1, 2)
    ]
    mine, other = (msgspec.structs.replace(incident.first(alert), alerts=1) for alert in alerts)
    calls = [("post", [mine]), ("edit", [other, msgspec.structs.replace(mine, alerts=7, state="growing")])]
    for number, (method, incidents) in enumerate(calls):
        at = NOON + timedelta(minutes=number)
        call = Delivery(f"c{number}", "alerts", method, "m1", at, incidents, [], digest=False)  # type: ignore[arg-type]
        for _ in range(2):  # Kafka may give it twice
            mongo_database.deliveries.bulk_write(delivery_updates(call))
            mongo_database.incidents.bulk_write(incident_updates(call))
    rows = client.get(f"/api/v1/incidents/{mine.incident_id}").get_json()["deliveries"]
    listed = [(row["method"], row["delivered_at"], row["alerts"], row["state"]) for row in rows]
    assert listed == [("edit", "2026-11-24T12:01:00Z", 7, "growing"), ("post", "2026-11-24T12:00:00Z", 1, "open")]
    assert len(client.get(f"/api/v1/incidents/{other.incident_id}").get_json()["deliveries"]) == 1
