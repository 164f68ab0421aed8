"""Every field of an alert and of an incident, from their messages through the recorder to the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from flask.testing import FlaskClient
from pymongo.database import Database

from fleet.alerts import alert as alerts
from fleet.alerts.absent_drone import AbsenceRule
from fleet.alerts.alert import Alert
from fleet.alerts.newcomer import FLEET_KNOWN_AFTER
from fleet.alerts.rules import Memory, Rules, UnrestRule, judge, sighting
from fleet.notifications import delivery as deliveries
from fleet.notifications import incident
from fleet.notifications.delivery import Delivery
from fleet.notifications.incident import Incident, Intervals
from fleet.notifications.message import incident_embeds
from fleet.notifications.policy import Allowance, Policy, decide
from fleet.notifications.state import NotificationState
from fleet.reports.report import Citizen, Report
from infra.mongo.incidents import alert_updates, delivery_updates, incident_updates, notified_updates
from tests.integration.test_serving_api import client

Documents = Database[dict[str, Any]]
__all__ = ["client"]  # the fixture

AT: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)

ALERT: Final = Alert(
    "low_battery/d%2F1/7/1", "low_battery", "critical", "low_battery/d%2F1", "7", "d/1", AT, AT + timedelta(seconds=2),
    "France", "Lyon", 45.75, 4.85, 9.5, [Citizen("Ada <b>", 3), Citizen("Ines", 7)], "storm = near", False,
    "Nearest charging station: Lyon 2, 1.4 km", newcomer=True,
)  # fmt: skip

RULES: Final = Rules(UnrestRule(), silent=AbsenceRule())

NOT_OF_AN_ALERT: Final = {
    "incident_key": "names the incident for the notifier; people have `incident_id`",
    "received_at": "the broker's time of the report; `raised_at` and `latency_ms` say when and how fast",
    "source": "the report's place on its topic, for log lines and `peacewatch trace`",
    "clears": "an alert that only ends an incident is no row",
}
NOT_OF_AN_INCIDENT: Final = {
    "key": "names the incident for the notifier",
    "reported_at": "the latest alert's; alerts have it",
    **dict.fromkeys(("cleared", "cleared_at", "flaps", "facts_at", "unverified"), "the notifier's memory"),
    **dict.fromkeys(("bin_start", "bin_alerts", "previous_alerts"), "the trend: `state` says it"),
    **dict.fromkeys(("embedded", "told_at"), "of its message on Discord"),
}


def as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return msgspec.to_builtins(value)


def test_every_field_of_an_alert_is_in_the_api(client: FlaskClient, mongo_database: Documents) -> None:
    mongo_database.alerts.bulk_write(alert_updates(ALERT, AT + timedelta(seconds=3)))
    (row,) = client.get("/api/v1/alerts").get_json()["alerts"]
    for field in msgspec.structs.fields(Alert):
        if field.name not in NOT_OF_AN_ALERT:
            assert row[field.name] == as_json(getattr(ALERT, field.name)), field.name
    assert (row["worst_score"], row["raised_at"]) == (3, "2026-11-24T12:00:03Z")
    text = client.get("/api/v1/alerts?format=csv").text
    for value in ("Nearest charging station: Lyon 2", "Ada <b>", "storm = near", "d/1", "9.5"):
        assert value in text, value


def test_newcomer_flag_reaches_every_reader(client: FlaskClient, mongo_database: Documents) -> None:
    """Rules, the messages of the topics, policy, Discord, MongoDB and API."""
    memory, at = Memory(), AT
    while at - AT <= FLEET_KNOWN_AFTER:
        judge(RULES, memory, sighting(report("known", at, alert=False), at, lambda *_: None))
        at += timedelta(minutes=1)
    state = NotificationState()
    rows = {}
    for number, drone in enumerate(("invented", "known")):
        (raised,) = judge(RULES, memory, sighting(report(drone, at, alert=True), at, lambda *_: None))
        taken = alerts.decode(alerts.encode(raised))
        assert taken.newcomer is (drone == "invented")
        state.add(taken, (0, number))
        sent = decide(state, Policy(), at, Allowance(first=True, urgent=True, edit=True)).notification
        assert sent is not None
        (embed,) = incident_embeds(sent.slots, sent.shown)
        assert ("Caution" in dict(embed.fields)) is (drone == "invented")
        delivery = deliveries.decode(deliveries.encode(state.record(sent, f"m{number}", at)))
        assert delivery.method == "post", "a known drone's own message"
        mongo_database.alerts.bulk_write([*alert_updates(taken, at), *notified_updates(delivery)])
        mongo_database.incidents.bulk_write(incident_updates(delivery))
        mongo_database.deliveries.bulk_write(delivery_updates(delivery))
        row = client.get(f"/api/v1/incidents/{delivery.incidents[0].incident_id}").get_json()
        rows[drone] = row["newcomers_only"], {alert["drone_id"]: alert["newcomer"] for alert in row["recent_alerts"]}
    assert rows == {"invented": (True, {"invented": True}), "known": (False, {"invented": True, "known": False})}


def report(drone_id: str, at: datetime, *, alert: bool) -> Report:
    return Report(f"r{at.timestamp()}", drone_id, at, 45.75, 4.85, 60.0, [], "", alert, "France", "Lyon")


def test_every_field_of_an_incident_is_in_the_api(client: FlaskClient, mongo_database: Documents) -> None:
    opened = incident.first(ALERT)
    incident.grow(opened, ALERT, Intervals())
    names = {"acknowledged_by": "mara", "acknowledgement": "on my way", "resolved_by": "ada", "message_id": "m1"}
    shown = msgspec.structs.replace(opened, alerts=4, state="growing", **names)
    at = AT + timedelta(seconds=4)
    call = Delivery("c1", "alerts", "post", "m1", at, [shown], [ALERT.alert_id], digest=False, alert_incidents=[0],
                    broker_ms=[2000], drone_ms=[4000])  # fmt: skip
    mongo_database.alerts.bulk_write([*alert_updates(ALERT, AT), *notified_updates(call)])
    mongo_database.incidents.bulk_write(incident_updates(call))
    mongo_database.deliveries.bulk_write(delivery_updates(call))
    row = client.get(f"/api/v1/incidents/{shown.incident_id}").get_json()
    for field in msgspec.structs.fields(Incident):
        if field.name not in NOT_OF_AN_INCIDENT:
            seen = as_json(getattr(shown, field.name))
            assert row[field.name] == (seen or None if field.name == "worst_score" else seen), field.name
    assert row["note"] == ALERT.note, "what the rule adds is on the page, too"
    assert row["battery"] == ALERT.battery
    (alert,) = row["recent_alerts"]
    assert (alert["incident_id"], alert["latency_ms"], alert["note"]) == (shown.incident_id, 2000, ALERT.note)


def test_fields_that_people_do_not_see_exist() -> None:
    assert NOT_OF_AN_ALERT.keys() <= {field.name for field in msgspec.structs.fields(Alert)}
    assert NOT_OF_AN_INCIDENT.keys() <= {field.name for field in msgspec.structs.fields(Incident)}
