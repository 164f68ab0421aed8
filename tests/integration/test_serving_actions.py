"""Operators' actions: who may, where they go (a real Kafka), and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from fleet import topics
from fleet.notifications import actions
from fleet.notifications.actions import Action, Target
from infra.kafka import clients
from infra.mongo.incidents import action_updates
from laptop import ports
from serving.app import create_app
from serving.config import Config
from serving.operators.audit import Audit
from serving.operators.desk import Desk
from serving.services import connect

Documents = Database[dict[str, Any]]
OPERATOR = {"Authorization": "Bearer op-secret"}
VIEWER = {"Authorization": "Bearer view-secret"}
TOKENS: dict[str, Any] = {"op-secret": "operator", "view-secret": "viewer"}


@pytest.fixture
def actions_topic(topic: Callable[..., str]) -> str:
    return topic(kind=topics.OPERATOR_ACTIONS, partitions=1)


@pytest.fixture
def client(mongo_uri: str, mongo_database: Documents, kafka: str, actions_topic: str) -> Iterator[FlaskClient]:
    mongo_database.incidents.insert_one({"_id": "i1", "last": datetime.now(UTC)})
    app = create_app(Config(mongo_uri=mongo_uri, kafka_bootstrap=kafka, actions_topic=actions_topic, tokens=TOKENS))
    yield app.test_client()
    app.extensions["peacewatch"].close()


def sent(kafka: str, topic: str, count: int) -> list[Action]:
    consumer = clients.consumer(kafka, auto_offset_reset="earliest", consumer_timeout_ms=10_000)
    consumer.subscribe([topic])
    with closing(consumer):
        return [actions.decode(next(consumer).value) for _ in range(count)]


def test_an_action_reaches_kafka_before_it_is_answered(client: FlaskClient, kafka: str, actions_topic: str) -> None:
    answer = client.post("/api/v1/incidents/i1/acknowledge", json={"by": "Ada", "note": "on my way"}, headers=OPERATOR)
    assert answer.status_code == 202
    client.post("/api/v1/incidents/i1/resolve", json={}, headers=OPERATOR)
    first, second = sent(kafka, actions_topic, 2)
    assert (first.action, first.target, first.by, first.note) == (
        "acknowledge",
        Target(incident_id="i1"),
        "Ada",
        "on my way",
    )
    assert answer.get_json()["action"]["id"] == first.id
    assert second.action == "resolve"
    assert "secret" not in first.id


def test_a_silence_is_in_force_until_it_is_ended(client: FlaskClient, kafka: str, actions_topic: str) -> None:
    body = {"kind": "unrest", "country": "France", "minutes": 30, "note": "a festival"}
    made = client.post("/api/v1/silences", json=body, headers=OPERATOR).get_json()["action"]
    (silence,) = client.get("/api/v1/silences", headers=VIEWER).get_json()["silences"]
    assert silence == made
    assert silence["target"] == {"incident_id": "", "kind": "unrest", "country": "France", "city": "", "drone_id": ""}
    assert client.delete(f"/api/v1/silences/{made['id']}", headers=OPERATOR).status_code == 202
    assert client.get("/api/v1/silences", headers=VIEWER).get_json()["silences"] == []
    silence, unsilence = sent(kafka, actions_topic, 2)
    assert (silence.target, unsilence.action) == (unsilence.target, "unsilence")
    assert silence.until is not None
    assert silence.until - silence.at == timedelta(minutes=30)


def test_every_action_is_in_the_audit_list_newest_first(client: FlaskClient, mongo_database: Documents) -> None:
    for number in range(3):
        client.post("/api/v1/incidents/i1/acknowledge", json={"note": f"note {number}"}, headers=OPERATOR)
    at = datetime.now(UTC) - timedelta(days=1)
    for update in action_updates(Action("old", "resolve", Target(incident_id="i0"), "Ada", at)):
        mongo_database.actions.bulk_write([update])  # as the recorder does what it finds in Kafka
    answer = client.get("/api/v1/actions?limit=3", headers=VIEWER).get_json()
    assert {row["note"] for row in answer["actions"]} == {"note 0", "note 1", "note 2"}
    (old,) = client.get(f"/api/v1/actions?cursor={answer['next']}", headers=VIEWER).get_json()["actions"]
    assert (old["id"], old["target"]["incident_id"], old["note"]) == ("old", "i0", "")


def test_the_recorder_writes_what_the_api_wrote(client: FlaskClient, mongo_database: Documents) -> None:
    client.post("/api/v1/silences", json={"city": "Lyon"}, headers=OPERATOR)
    (written,) = mongo_database.actions.find()
    fields = {name: written[name] for name in ("by", "at", "note", "until")}
    again = Action(written["_id"], "silence", Target(city="Lyon"), **fields)
    mongo_database.actions.bulk_write(action_updates(again))
    assert list(mongo_database.actions.find()) == [written]


POSTS = ("/api/v1/incidents/i1/acknowledge", "/api/v1/incidents/i1/resolve", "/api/v1/silences")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "Basic b3A6"}, 401), (VIEWER, 403)],
)
def test_only_operators_act(
    client: FlaskClient, mongo_database: Documents, path: str, headers: dict[str, str], status: int
) -> None:
    answer = client.post(path, json={"kind": "unrest"} if "silences" in path else {}, headers=headers)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert mongo_database.actions.count_documents({}) == 0


@pytest.mark.parametrize("path", ["/api/v1/actions", "/api/v1/silences"])
def test_the_audit_list_needs_a_token(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 401
    assert client.get(path, headers=VIEWER).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/silences", {}, "body"),
        ("/api/v1/silences", {"city": " "}, "body"),
        ("/api/v1/silences", {"kind": "unrest", "country": "\u200b\u3000"}, "body"),
        ("/api/v1/silences", ["unrest"], "body"),
        ("/api/v1/silences?minutes=5", {"kind": "unrest"}, "minutes"),
        ("/api/v1/incidents/i1/acknowledge?by=Mara", {}, "by"),
        ("/api/v1/silences", {"kind": "weather"}, "kind"),
        ("/api/v1/silences", {"kind": "unrest", "minutes": 0}, "minutes"),
        ("/api/v1/silences", {"kind": "unrest", "minutes": 10081}, "minutes"),
        ("/api/v1/incidents/i1/acknowledge", {"note": "x" * 501}, "note"),
        ("/api/v1/incidents/i1/acknowledge", {"nota": "x"}, "nota"),
    ],
)
def test_a_bad_action_names_the_field(client: FlaskClient, path: str, body: Any, field: str) -> None:
    answer = client.post(path, json=body, headers=OPERATOR)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == field


def test_a_form_of_another_site_does_nothing(client: FlaskClient) -> None:
    """A browser sends a form anywhere without asking; JSON it sends only to its own site."""
    answer = client.post(POSTS[0], data='{"note": ""}', content_type="text/plain", headers=OPERATOR)
    assert answer.status_code == 422


def test_an_incident_nobody_knows_is_404(client: FlaskClient) -> None:
    assert client.post("/api/v1/incidents/i9/resolve", json={}, headers=OPERATOR).status_code == 404
    assert client.delete("/api/v1/silences/i9", headers=OPERATOR).status_code == 404


def test_without_tokens_everybody_is_an_operator(mongo_uri: str, kafka: str, actions_topic: str) -> None:
    app = create_app(Config(mongo_uri=mongo_uri, kafka_bootstrap=kafka, actions_topic=actions_topic))
    assert app.test_client().post("/api/v1/silences", json={"kind": "silent"}).status_code == 202
    app.extensions["peacewatch"].close()


def test_kafka_away_is_503_and_nothing_is_recorded(mongo_uri: str, mongo_database: Documents) -> None:
    services = connect(config := Config(mongo_uri=mongo_uri))
    desk = Desk(f"127.0.0.1:{ports.free_port()}", acknowledged_seconds=2.0)
    app = create_app(config, replace(services, audit=Audit(services.database, desk)))
    answer = app.test_client().post("/api/v1/silences", json={"kind": "silent"})
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    assert mongo_database.actions.count_documents({}) == 0
    app.extensions["peacewatch"].close()
