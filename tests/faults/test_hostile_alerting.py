"""Attacks on the shipped `peacewatch alerting`, with nothing but the right to write to `reports`.

After each, on the same partition: a neighbour's alert is raised once, also by a successor.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psutil
import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from fleet import identity
from infra.kafka import clients
from infra.kafka.topics import TOPICS
from tests.support import raw_kafka
from tests.support.alert_stack import AlertStack, alert_stack, report
from tests.support.kafka_messages import messages
from tests.support.raw_kafka import RawRecord

MIB = 1024 * 1024
RULES = """
[unrest]
[low_battery]
[silent]
"""
HARD = "\x01" * 190


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertStack]:
    """One for all: each attack has drones of its own, and ends with an alerting process that has judged it."""
    home = tmp_path_factory.mktemp("hostile-alerting")
    (home / "rules.toml").write_text(RULES)
    with alert_stack(home, PEACEWATCH_RULES=str(home / "rules.toml")) as stack:
        stack.start("alerting")
        yield stack


@pytest.fixture
def stack(running: AlertStack) -> Iterator[AlertStack]:
    yield running
    assert "message not judged" not in (running.home / "log" / "alerting.log").read_text()


@pytest.fixture
def before(stack: AlertStack) -> Counter[str]:
    """How often each alert had been raised when the test began."""
    return raised(stack)


def send(stack: AlertStack, *messages: dict[str, Any] | bytes) -> None:
    """To partition 0, wherever their keys belong."""
    for one in messages:
        value = one if isinstance(one, bytes) else json.dumps(one).encode()
        stack.producer.send("reports", value, key=b"k", partition=0)
    stack.producer.flush()


def alerts(stack: AlertStack, kind: str = "unrest") -> list[dict[str, Any]]:
    return [alert for alert in stack.read("alerts") if alert["kind"] == kind]


def raised(stack: AlertStack) -> Counter[str]:
    """How often each alert was raised, but for those of drones that are silent by now."""
    return Counter(alert["alert_id"] for alert in stack.read("alerts") if alert["kind"] != "silent")


def check_neighbour(stack: AlertStack, name: str, before: Counter[str]) -> None:
    """Its alert is raised, also after the process was killed, and no alert is raised in a loop."""
    for round_ in ("before", "after"):
        neighbour = f"neighbour-{name}-{round_}"
        send(stack, report(1, drone_id=neighbour))
        stack.wait(lambda drone=neighbour: any(alert["drone_id"] == drone for alert in alerts(stack)))  # type: ignore[misc]
        if round_ == "before":
            stack.kill("alerting")
            stack.start("alerting")
    new = raised(stack) - before
    assert new.total() <= 2 * len(new)  # what was judged in the last second before the kill, once more


def quiet(number: int, **changes: Any) -> dict[str, Any]:
    return report(number, **{"alert": False, **changes})


@pytest.mark.parametrize("count", [50, 900])
def test_low_drones_whose_names_outgrow_a_message(stack: AlertStack, before: Counter[str], count: int) -> None:
    """900 of them made a checkpoint of 1.3 MB that failed at each retry: 13,000 duplicates a minute, no later alert."""
    send(stack, *(quiet(n, drone_id=f"{HARD}{count}-{n}", battery=1.0) for n in range(count)))
    low = {f"{HARD}{count}-{n}" for n in range(count)}
    stack.wait(lambda: low <= {alert["drone_id"] for alert in alerts(stack, "low_battery")})
    check_neighbour(stack, f"low-{count}", before)


def test_no_drone_speaks_for_another(stack: AlertStack, before: Counter[str]) -> None:
    same: dict[str, Any] = {"report_id": "42", "drone_id": "lyon-3"}
    send(
        stack,
        *(report(7, drone_id="paris", report_id="7/18"), report(7, drone_id="paris/7", report_id="18")),
        *({"alert": True, **same}, report(8, **same), report(9, **same)),  # no report; a report; ids that restarted
    )
    check_neighbour(stack, "ids", before)
    found = {alert["alert_id"]: (alert["drone_id"], alert["report_id"]) for alert in alerts(stack)}
    assert sorted(found.values()).count(("lyon-3", "42")) == 3
    assert {("paris", "7/18"), ("paris/7", "18")} <= set(found.values())


def test_messages_that_are_no_report(stack: AlertStack, before: Counter[str]) -> None:
    send(
        stack,
        *(b"[" * 60_000, b"[" * 60_000 + b'"alert":true', b'{"alert":' * 60_000, b"\xff" * 1000, b"{}" * 100_000),
        json.dumps([report(1, drone_id="listed-1"), report(2, drone_id="listed-2")]).encode(),
        json.dumps([{"alert": 1}] * 20_000).encode(),
        b'{"meta":{"alert":true},"alert":false,"drone_id":"denies"}',
    )
    check_neighbour(stack, "garbage", before)
    drones = [alert["drone_id"] for alert in alerts(stack)]
    assert {"listed-1", "listed-2"} <= set(drones)
    assert "denies" not in drones
    assert len([alert for alert in alerts(stack) if identity.split(alert["alert_id"])[1] == "salvaged"]) < 300


@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_a_batch_that_holds_much_more_than_it_weighs(stack: AlertStack, before: Counter[str], count: int) -> None:
    process = psutil.Process(stack.running["alerting"].pid)
    resident = process.memory_info().rss
    sizes = {"batch_size": 400 * MIB, "max_request_size": 400 * MIB}
    with closing(clients.producer(stack.broker.address, compression_type="zstd", linger_ms=5000, **sizes)) as producer:
        for _ in range(count):
            producer.send("reports", bytes(MIB - 100), partition=0)
        producer.flush()
    send(stack, report(1, drone_id=f"after-{count}"))
    stack.wait(lambda: any(alert["drone_id"] == f"after-{count}" for alert in alerts(stack)))
    assert process.memory_info().rss - resident < 200 * MIB
    check_neighbour(stack, f"batch-{count}", before)


POISON = {
    "a header's name that is no text": RawRecord(b"{}", headers=[(b"\xff\xfe", b"")]),
    "bits in a record's attributes": RawRecord(b"{}", attributes=0x80),
    "another record's place": RawRecord(b"{}", offset_delta=2**31 - 1),
    "a million headers": RawRecord(b"{}", raw_headers=raw_kafka.empty_headers(1_000_000)),
}


@pytest.mark.parametrize("name", POISON)
def test_records_that_no_library_makes(stack: AlertStack, before: Counter[str], name: str) -> None:
    """Each of them, 75 bytes say, stopped its partition for ever: kafka-python raised at the same offset again and
    again, or went on two thousand million messages further."""
    record = POISON[name]
    hidden = RawRecord(json.dumps(report(2, drone_id=f"hidden by {name}")).encode())
    packed = record.offset_delta < 0  # of compressed ones the broker checks the places itself
    for batch in ([record], [record, hidden]):
        assert raw_kafka.send(stack.broker.address, "reports", 0, raw_kafka.batch(batch, zstd=packed)) == 0
    stack.wait(lambda: any(alert["drone_id"] == f"hidden by {name}" for alert in alerts(stack)))
    check_neighbour(stack, name, before)


def test_operators_read_no_word_of_a_drone_whose_alert_is_refused(stack: AlertStack, before: Counter[str]) -> None:
    """An id of `[all is well](https://evil.example)` was a link in their channel."""
    largest = TOPICS["alerts"].config.get("max.message.bytes", "1048588")
    link = "[all is well](https://evil.example)"
    limit_alerts(stack, "600")
    send(stack, report(1, drone_id=link, message="".join(map(chr, range(0x4E00, 0x4E00 + 900)))))

    def refused() -> str:
        signs = [json.loads(one.value) for one in messages(stack.broker.address, "alert-state") if is_sign(one)]
        said = [sign.get("troubles", {}).get("alerting refused", "") for sign in signs]
        return max(said, default="")

    stack.wait(lambda: refused() != "")
    limit_alerts(stack, largest)
    assert "evil" not in refused()
    assert "MessageSizeTooLarge" in refused()
    assert "evil.example" in (stack.home / "log" / "alerting.log").read_text()
    check_neighbour(stack, "refused", before)


def is_sign(record: Any) -> bool:
    return bool((record.key or b"").startswith(b"health/alerting"))


def limit_alerts(stack: AlertStack, most: str) -> None:
    with closing(clients.admin(stack.broker.address)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "alerts", {"max.message.bytes": most})])


def test_numbers_that_no_float_holds(stack: AlertStack, before: Counter[str]) -> None:
    send(stack, b'{"alert": true, "drone_id": "digits", "battery": ' + b"9" * 400 + b"}")
    stack.wait(lambda: any(alert["drone_id"] == "digits" for alert in alerts(stack)))
    check_neighbour(stack, "digits", before)
