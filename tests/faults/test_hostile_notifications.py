"""Floods and poison on the alert pipeline as shipped: a neighbour's real alert is in the channel all the same.

The checker reads the broker's topics and the stand-in's log only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from fleet.alerts import alert as wire
from infra.kafka import clients
from tests.support.alert_stack import UNLIMITED, AlertStack, alert_stack, report
from tests.support.kafka_messages import messages
from tests.support.world import alert

OPERATORS = "3"
NO_MONGO = "mongodb://127.0.0.1:1/peacewatch?serverSelectionTimeoutMS=500"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertStack]:
    environ = {
        "PEACEWATCH_MONGO_URI": NO_MONGO,
        "PEACEWATCH_INCIDENT_UPDATE_SECONDS": "0.2",
    }
    with alert_stack(tmp_path_factory.mktemp("hostile"), **environ) as stack:
        for command in ("alerting", "notify", "record"):
            stack.start(command)
        stack.alarm(1)
        stack.wait(lambda: stack.notified == 1)
        yield stack


RULES = "[unrest]\n[low_battery]\n[watchword]\nwords = ['mayday']\n"
"""Without `[silent]`: the remembered drones do not report."""


@pytest.mark.parametrize("count", [6000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_a_flood_of_invented_drones_in_invented_places(tmp_path: Path, count: int) -> None:
    """No quota binds. Alerts of drones that the fleet knows pass all that came before them, also after a restart."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    honest = [f"honest-{number}" for number in range(4)]
    with alert_stack(tmp_path, PEACEWATCH_MONGO_URI=NO_MONGO, PEACEWATCH_RULES=str(rules)) as stack:
        stack.remember(honest)
        stack.start("alerting")
        stack.send(invented(number) for number in range(count))
        stack.wait(lambda: sum(1 for _ in messages(stack.broker.address, "alerts")) >= count, 180)
        stack.start("notify")
        for number, drone in enumerate(honest):
            stack.send([report(number, 1, 6, drone_id=drone, city=f"Honest {number}")])
            stack.wait(partial(shows, stack, f"Honest {number}"))
            if number == 1:
                stack.kill("notify")
                stack.start("notify")
        waited = set(stack.delivered_ids())
        assert len(waited) < count, "the flood was over before the last honest alert was raised: it shows nothing"
        assert all(alert_of(drone) in str(waited) for drone in honest)
        assert "alerts of drones that are new to the fleet" in str(stack.messages())
        if count <= 6000:
            stack.wait(lambda: len(set(stack.delivered_ids())) == count + len(honest), 180)


def alert_of(drone: str) -> str:
    return f"unrest/{drone}/"


KINDS: list[dict[str, Any]] = [{}, {"alert": False, "battery": 1.0}, {"alert": False, "message": "mayday"}]


def invented(number: int) -> dict[str, Any]:
    """A drone and a place that occur once, of every kind of rule."""
    changes = {"drone_id": f"invented-{number}", "city": f"Invented {number}", **KINDS[number % 3]}
    return report(number, 1, 1, **changes)


@pytest.fixture
def stack(running: AlertStack) -> AlertStack:
    running.limits(**UNLIMITED)
    return running


def shows(stack: AlertStack, text: str) -> bool:
    return text in str(stack.messages())


def neighbour(stack: AlertStack, city: str) -> None:
    """A real alert of somebody else amid the flood, and one more after a restart: each is in the channel."""
    for name in (city, f"{city} again"):
        stack.send([report(stack.sent, 1, drone_id="neighbour", city=name)])
        stack.sent += 1
        stack.wait(partial(shows, stack, name))
        if name == city:
            stack.kill("notify")
            stack.start("notify")


def hostile(number: int, chance: random.Random) -> dict[str, Any]:
    """A report of control characters, each of which is six bytes of JSON, and no two of which compress."""

    def text(length: int) -> str:
        return "".join(chance.choice("\x01\x02\x03\x04\x05\x06\x07\x0e\x0f") for _ in range(length))

    names = [{"name": f"{text(99)}{n}", "peace_score": 1} for n in range(3)]
    place: dict[str, Any] = {"city": f"{number:04}{text(196)}", "country": text(200)}
    return report(number, 1, report_id=f"{number:04}{text(196)}", message=text(1000), citizens=names, **place)


def flood(stack: AlertStack, count: int) -> None:
    chance, drone = random.Random(7), "\x01" * 200
    stack.send({**hostile(stack.sent + n, chance), "drone_id": drone} for n in range(count))
    stack.sent += count


def test_alerts_of_control_characters(stack: AlertStack) -> None:
    """A delivery that counted characters was larger than the producer takes: nobody was notified of anything more."""
    flood(stack, 300)
    stack.wait(lambda: any(delivery["digest"] for delivery in stack.read("deliveries")))
    neighbour(stack, "Amid control characters")
    stack.wait(lambda: len(set(stack.delivered_ids())) == stack.sent)
    stack.wait(lambda: stack.notified >= stack.sent)
    assert "is too large for its topic" not in (stack.home / "log" / "notify.log").read_text()


def test_a_topic_that_takes_no_such_delivery(stack: AlertStack) -> None:
    """Its owner allows less than the contract says."""
    resize(stack, 20_000)
    try:
        flood(stack, 60)
        neighbour(stack, "Amid small messages")
    finally:
        resize(stack, 8 * 1024 * 1024)
    assert "it is written in parts" in (stack.home / "log" / "notify.log").read_text()


def resize(stack: AlertStack, largest: int) -> None:
    changed = {"max.message.bytes": str(largest)}
    with closing(clients.admin(stack.broker.address)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "deliveries", configs=changed)])


def of_operators(stack: AlertStack) -> list[dict[str, Any]]:
    return [message for message in stack.messages() if message["webhook"] == OPERATORS]


def test_an_alert_with_the_id_of_another_one(stack: AlertStack) -> None:
    """What was sent first suppressed what was sent second."""
    forged = msgspec.structs.replace(alert(5, datetime.now(UTC), city=5), alert_id="same", message="all is calm")
    real = msgspec.structs.replace(forged, message="they are shooting")
    for one in (forged, real, real):
        stack.producer.send("alerts", wire.encode(one), key=b"same")
    stack.producer.flush()
    stack.sent += 2
    stack.wait(lambda: "they are shooting" in str(stack.messages()))
    stack.wait(lambda: sum(id_.startswith("same") for id_ in stack.delivered_ids()) == 2)
    stack.wait(lambda: "had the id of another alert" in str(of_operators(stack)), 60)


@pytest.mark.parametrize("seconds", [18, pytest.param(45, marks=pytest.mark.slow)])
def test_one_drone_that_invents_cities(stack: AlertStack, seconds: int) -> None:
    """Two critical alerts a second; each real one has a message, or its name in a digest."""
    stack.limits(burst_requests=5, minute_requests=30)
    named: list[str] = []
    for second in range(seconds):
        began = time.monotonic()
        stack.send(
            report(stack.sent + n, 1, 1, drone_id="flooder", city=f"Invented {stack.sent + n}") for n in range(2)
        )
        stack.sent += 2
        if second % 9 == 4:
            named.append(f"Real {second} of {seconds}")
            stack.send([report(stack.sent, 1, 6, drone_id=f"honest-{second}", city=named[-1])])
            stack.sent += 1
        time.sleep(max(0.0, began + 1.0 - time.monotonic()))  # the flood's rate, not a wait for something
    for name in named:
        stack.wait(partial(shows, stack, name))


def test_messages_that_nobody_can_read(stack: AlertStack) -> None:
    """On each topic that the notifier reads; one is an alert with a time that has no form in UTC.

    The last test: nobody else can read these topics after it, either.
    """
    impossible = msgspec.json.decode(wire.encode(alert(1, datetime.now(UTC))))
    impossible |= {"alert_id": "impossible", "reported_at": "0001-01-01T00:00:00+14:00", "city": "Impossible"}
    for topic in ("alerts", "deliveries", "operator-actions"):
        for value in (None, b"", b"\xff", b"[" * 60_000, b'{"alert_id": "x"}', b'{"id": "\\ud800"}'):
            stack.producer.send(topic, value, key=b"garbage")
    stack.producer.send("alerts", msgspec.json.encode(impossible))
    stack.producer.flush()
    stack.wait(lambda: "Impossible" in str(stack.messages()))
    neighbour(stack, "Amid garbage")
    stack.wait(lambda: "could not be handled" in str(of_operators(stack)), 60)
    for garbage in ("alerts", "deliveries", "operator-actions"):
        assert f"{garbage}-" in (stack.home / "log" / "notify.log").read_text()
