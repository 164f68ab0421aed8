"""The recorder on a real Kafka and MongoDB: the first of an alert stays, and what MongoDB refuses holds up nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import PyMongoError

from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert, conflict_id
from fleet.notifications import actions, incident
from fleet.notifications import delivery as deliveries
from fleet.notifications.actions import Action, Target
from fleet.notifications.state import NotificationState
from infra.mongo import client as mongo
from infra.mongo import incidents
from infra.operations import LOOPS
from speed_layer import recording as recorder
from tests.support import world
from tests.support.alert_layers import made_names, send
from tests.support.waiting import running, wait_for
from tests.support.world import alert

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.fixture
def names(topic: Callable[..., str]) -> dict[str, str]:
    return made_names(topic)


@pytest.fixture
def config(kafka: str, names: dict[str, str], mongo_uri: str) -> recorder.RecorderConfig:
    return recorder.RecorderConfig(
        kafka,
        mongo_uri,
        incident.Intervals(),
        group=f"r-{names['alerts']}",
        alerts=names["alerts"],
        deliveries=names["deliveries"],
        actions=names["actions"],
        state=names["state"],
    )


def delivered(*alerts: Alert, at: datetime = NOW) -> bytes:
    return deliveries.encode(world.delivered(*alerts, at=at))


def test_first_of_an_alerts_duplicates_makes_the_row(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    """Also where the delivery is read first; no alert is reported after people were notified of it."""
    first = alert(1, NOW)
    again = msgspec.structs.replace(first, received_at=NOW + timedelta(hours=1), note="judged again")
    rows = mongo_database["alerts"]
    with running(recorder.run, config):
        send(kafka, names["deliveries"], delivered(first, at=NOW + timedelta(seconds=1)))
        wait_for(lambda: rows.count_documents({"delivered_at": {"$ne": None}}) == 1)
        send(kafka, names["alerts"], wire.encode(first), wire.encode(again))
        send(kafka, names["alerts"], wire.encode(alert(2, NOW)))
        wait_for(lambda: rows.count_documents({"kind": "unrest"}) == 2)
    row = rows.find_one({"_id": first.alert_id}) or {}
    assert (row["received_at"], row["note"]) == (first.received_at, "")
    assert row["delivered_at"] > row["received_at"]
    other = rows.find_one({"_id": alert(2, NOW).alert_id}) or {}
    assert (other["delivered_at"], other["latency_ms"], other["city"]) == (None, None, "City 0")


def test_an_alert_with_the_id_of_another_one_has_a_row_of_its_own(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    forged = alert(1, NOW)
    real = msgspec.structs.replace(forged, message="something else")
    rows = mongo_database["alerts"]
    with running(recorder.run, config):
        send(kafka, names["alerts"], wire.encode(forged))
        wait_for(lambda: rows.count_documents({}) == 1)
        send(kafka, names["alerts"], wire.encode(real), wire.encode(forged), wire.encode(real))
        send(kafka, names["deliveries"], delivered(forged, real))
        wait_for(lambda: rows.count_documents({"delivered_at": {"$ne": None}}) == 2)
    assert {row["_id"]: row["message"] for row in rows.find()} == {
        forged.alert_id: "heard",
        conflict_id(real): "something else",
    }


def test_documents_that_mongodb_refuses_are_skipped_and_reported(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    """A note that is larger than a document may be, and messages that are nothing."""
    rows = mongo_database["alerts"]
    mongo_database.command("create", "incidents", validator={"city": {"$ne": "City 7"}})
    poisoned = alert(7, NOW, city=7)
    with running(recorder.run, config):
        send(kafka, names["alerts"], b"[" * 10_000, b"\xff", b'{"alert_id": 1}')
        send(kafka, names["deliveries"], b'{"delivery_id": "x"}', delivered(poisoned, alert(8, NOW, city=8)))
        send(kafka, names["alerts"], wire.encode(alert(9, NOW)))
        wait_for(lambda: rows.count_documents({"kind": "unrest"}) == 1)
        wait_for(lambda: mongo_database["incidents"].count_documents({"city": "City 8"}) == 1)
    assert mongo_database["incidents"].count_documents({"city": "City 7"}) == 0


@pytest.mark.parametrize("place", ["alerts", "deliveries", "actions"])
def test_messages_of_a_newer_version_wait_for_that_version(
    kafka: str,
    names: dict[str, str],
    config: recorder.RecorderConfig,
    mongo_database: Database[Any],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Until then the recorder waits, and says why."""
    action = actions.encode(Action("1", "acknowledge", Target("i"), "Ada", NOW))
    codecs = {"alerts": wire._codec, "deliveries": deliveries._codec, "actions": actions._codec}
    value = {"alerts": wire.encode(alert(1, NOW)), "deliveries": delivered(alert(1, NOW)), "actions": action}[place]
    rows = mongo_database["actions" if place == "actions" else "alerts"]
    send(kafka, names[place], value.replace(b"{", b'{"layout": 2, ', 1))
    with running(recorder.run, config):
        wait_for(lambda: "NewerLayout" in LOOPS.unready().get("recorder", ""))
    assert rows.count_documents({}) == 0
    monkeypatch.setattr(codecs[place], "_layout", 2)
    with running(recorder.run, config):
        wait_for(lambda: rows.count_documents({}) == 1)


@pytest.mark.parametrize(
    "value",
    [datetime.fromisoformat("0001-01-01T00:00:00+14:00"), "x" * 17_000_000, 2**70, "\ud800"],
    ids=["a time without a date in UTC", "over 16 MiB", "no 64-bit number", "half a character"],
)
def test_a_poison_document_holds_up_no_neighbour(mongo_database: Database[Any], value: object) -> None:
    made = {"before": 1, "poison": value, "after": 2}
    updates = [UpdateOne({"_id": id_}, {"$set": {"value": value}}, upsert=True) for id_, value in made.items()]
    assert recorder._write(mongo_database, "alerts", updates) == 1
    assert {row["_id"]: row["value"] for row in mongo_database["alerts"].find()} == {"before": 1, "after": 2}


def test_a_database_that_is_away_is_tried_again_not_passed_by() -> None:
    with mongo.client("mongodb://127.0.0.1:1/peacewatch", "test", wait_ms=50) as client, pytest.raises(PyMongoError):
        recorder._write(mongo.database(client), "alerts", [UpdateOne({"_id": 1}, {"$set": {"a": 1}}, upsert=True)])


def test_a_clearing_resolves_what_only_a_digest_counted(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    low = msgspec.structs.replace(alert(1, datetime.now(UTC)), kind="low_battery")
    later = low.received_at + timedelta(minutes=1)
    state = NotificationState()
    state.add(low, (0, 0))
    known = next(iter(state.incidents)).incident
    mongo_database["incidents"].insert_one({**incidents.document_of(known), "_id": known.incident_id, "message_id": ""})
    cleared = msgspec.structs.replace(low, alert_id="c", clears=True, received_at=later, reported_at=later)
    with running(recorder.run, config):
        send(kafka, names["alerts"], wire.encode(cleared))
        wait_for(lambda: mongo_database["incidents"].count_documents({"state": "resolved", "cleared": True}) == 1)


def test_time_resolves_only_what_no_clearing_ends(mongo_database: Database[Any]) -> None:
    now = datetime.now(UTC)
    kinds = {"unrest": timedelta(minutes=36), "low_battery": timedelta(minutes=36), "silent": timedelta(hours=25)}
    for kind, idle in kinds.items():
        document = {"_id": kind, "kind": kind, "message_id": "", "state": "open", "last": now - idle}
        mongo_database["incidents"].insert_one(document)
    life = incident.Intervals()
    incidents.resolve(mongo_database, now - life.over, now - life.expire)
    assert mongo_database["incidents"].distinct("_id", {"state": "resolved"}) == ["silent", "unrest"]


def test_emptied_database_is_filled_again(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    """The group's offsets on Kafka say that all was recorded; they know of no database."""
    rows = mongo_database["alerts"]
    send(kafka, names["deliveries"], delivered(alert(1, NOW), alert(2, NOW)))
    send(kafka, names["alerts"], *(wire.encode(alert(number, NOW)) for number in (1, 2, 3)))
    whole = {"kind": "unrest"}
    with running(recorder.run, config):
        wait_for(lambda: rows.count_documents(whole) == 3 and rows.count_documents({"incident_id": None}) == 1)
    for name in mongo_database.list_collection_names():
        mongo_database[name].delete_many({})
    with running(recorder.run, config):
        wait_for(lambda: rows.count_documents(whole) == 3 and rows.count_documents({"incident_id": None}) == 1)
        wait_for(lambda: mongo_database["incidents"].count_documents({"alerts": 2}) == 1)


def record_two(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    """The alerts 1 and 2, by a recorder that has ended."""
    send(kafka, names["alerts"], wire.encode(alert(1, NOW)), wire.encode(alert(2, NOW)))
    with running(recorder.run, config):
        wait_for(lambda: mongo_database["alerts"].count_documents({}) == 2)


def test_database_behind_the_group_gets_the_missing_messages(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    """As after a restore: the database is of the moment of the backup, the group's offsets are of later."""
    rows = mongo_database["alerts"]
    record_two(kafka, names, config, mongo_database)
    then = {name: list(mongo_database[name].find({})) for name in ("alerts", "recording")}
    send(kafka, names["alerts"], wire.encode(alert(3, NOW)))
    with running(recorder.run, config):
        wait_for(lambda: rows.count_documents({}) == 3)
    for name, documents in then.items():
        mongo_database[name].delete_many({})
        mongo_database[name].insert_many(documents)
    with running(recorder.run, config):
        wait_for(lambda: rows.count_documents({}) == 3)


def test_database_without_positions_continues_at_the_groups_offsets(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    rows = mongo_database["alerts"]
    record_two(kafka, names, config, mongo_database)
    mongo_database["recording"].delete_many({})
    rows.delete_one({"_id": alert(1, NOW).alert_id})
    send(kafka, names["alerts"], wire.encode(alert(3, NOW)))
    with running(recorder.run, config):
        wait_for(lambda: rows.count_documents({"_id": alert(3, NOW).alert_id}) == 1)
    assert rows.count_documents({}) == 2, "nothing of before is read again"
    assert mongo_database["recording"].count_documents({"next_offset": {"$gt": 0}}) == 1


def test_operators_actions_are_recorded(
    kafka: str, names: dict[str, str], config: recorder.RecorderConfig, mongo_database: Database[Any]
) -> None:
    action = Action("a1", "unsilence", Target(city="Oslo"), "Mia", NOW, ends="a0")
    with running(recorder.run, config):
        send(kafka, names["actions"], b"nothing", actions.encode(action))
        wait_for(lambda: mongo_database["actions"].count_documents({"_id": "a1", "ends": "a0"}) == 1)
