"""A broker with SASL_SSL, SCRAM and the ACLs of docs/kafka-security.md: each process does its part, and only it.

Each process has a user of its own. The whole path runs, from replayed data to the stand-in's channel and the lake; and
without any one of the listed ACLs the process that needs it names what it lacks, in one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from kafka.admin import ACLOperation, ResourceType

from cli import status_facts
from fleet import topics
from infra.kafka import clients
from infra.kafka.topics import TOPICS, create_topics
from laptop import ports
from laptop.services import mongo
from tests.support import oracle, verdict
from tests.support.acls import Rule, listed
from tests.support.alert_stack import report
from tests.support.product import UNLIMITED, Product
from tests.support.secured_kafka import PASSWORD, Secured, secured_kafka

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WAIT_SECONDS = 180
ROWS = oracle.like_the_original(600)
LISTED = listed()
LONG_RUNNING = ("land", "alerting", "notify", "record")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """With a user for each command that the page lists, who may do what it lists."""
    with secured_kafka(tmp_path_factory.mktemp("secured")) as broker:
        for command, rules in LISTED.items():
            broker.add_user(command)
            broker.allow_patterns(command, *(rule.grant for rule in rules))
        create_topics(broker.scram("up"))
        yield broker


@pytest.fixture(scope="module")
def mongo_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = mongo.start(tmp_path_factory.mktemp("mongo"), ports.free_port())
    yield server.uri
    server.kill()


def login(user: str) -> dict[str, str]:
    return {"PEACEWATCH_KAFKA_USER": user, "PEACEWATCH_KAFKA_PASSWORD": PASSWORD}


def product_of(home: Path, secured: Secured, mongo_uri: str, users: dict[str, str]) -> Product:
    """`users` by command."""
    environ = {
        "PEACEWATCH_KAFKA_BOOTSTRAP": secured.addresses["SASL"],
        "PEACEWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "PEACEWATCH_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "PEACEWATCH_KAFKA_CA": str(secured.authority.file),
        "PEACEWATCH_MONGO_URI": mongo_uri,
        "PEACEWATCH_COMET": "off",
    }
    return Product(home, environ, {command: login(user) for command, user in users.items()})


def test_the_whole_path_with_a_user_for_each_process(secured: Secured, mongo_home: str, tmp_path: Path) -> None:
    csv = tmp_path / "events.csv"
    oracle.write(csv, ROWS)
    product = product_of(tmp_path, secured, mongo_home, {command: command for command in LISTED})
    try:
        product.start_standin(**UNLIMITED)
        for command in LONG_RUNNING:
            product.start(command)
        product.start_page()
        start = oracle.start_of(2021).isoformat()
        assert f"{len(ROWS)} reports sent" in product.run("replay", csv, "--start", start, "--clock", "fleet").stdout
        send(secured, topics.REPORTS, b"no report")
        evidence = verdict.Evidence(secured.inside, str(tmp_path / "lake"), (), tmp_path / "discord")
        product.wait(lambda: rests(evidence), WAIT_SECONDS, "the path")
        product.run("aggregate")
        asked = {"from": start[:10], "to": (oracle.start_of(2021)).date().isoformat()}
        answer = httpx.get(f"{product.page}/api/v1/statistics/averages", params=asked, timeout=60).raise_for_status()
        assert answer.json()["reports"] == len(ROWS)
        rejected = httpx.get(f"{product.page}/api/v1/rejects", timeout=60).raise_for_status().json()
        assert [row["reason"] for row in rejected["newest"]] == ["not json"]
        acknowledge(product)
        use_what_operators_have(product)
        assert "ACL" not in product.tail(1 << 20)
    finally:
        product.close()


def use_what_operators_have(product: Product) -> None:
    """Commands that look at Kafka, each as a user of its own."""
    state = json.loads(product.run("status", "--json").stdout)
    assert (state["away"], set(state["lag"])) == ({}, {status_facts.LANDING, *status_facts._TOPICS_OF})
    (line,) = product.run("rejects", "list").stdout.splitlines()
    assert json.loads(line)["headers"]["reason"] == "not json"
    assert "1 rejected messages replayed" in product.run("rejects", "replay").stdout
    alert = httpx.get(f"{product.page}/api/v1/alerts", timeout=60).json()["alerts"][0]
    traced = json.loads(product.run("trace", alert["drone_id"], alert["report_id"], "--json").stdout)
    assert traced["away"] == {}
    assert {"topic", "lake", "alert", "message"} <= {step["where"] for step in traced["steps"]}


def acknowledge(product: Product) -> None:
    """An operator's action on the page reaches the notifier, through the broker."""
    product.wait(lambda: bool(incidents(product)), WAIT_SECONDS, "an incident")
    for incident in incidents(product):  # one that only a digest counts has no message that could show it
        url = f"{product.page}/api/v1/incidents/{incident['incident_id']}/acknowledge"
        httpx.post(url, json={"by": "Ada"}, headers={"Origin": product.page}, timeout=60).raise_for_status()
    says = f"{product.discord}/control/messages"
    product.wait(lambda: "Ada" in httpx.get(says, timeout=30).text, WAIT_SECONDS, "the acknowledgement in the channel")


def incidents(product: Product) -> list[dict[str, str]]:
    found: list[dict[str, str]] = httpx.get(f"{product.page}/api/v1/incidents", timeout=60).json()["incidents"]
    return found


def rests(evidence: verdict.Evidence) -> bool:
    """Whether everything has arrived."""
    found = verdict.check(evidence)
    return not found.wrong and found.figures["rejected"] == 1


def send(secured: Secured, topic: str, value: bytes) -> None:
    producer = clients.producer(secured.inside)
    producer.send(topic, value, key=b"?").get(timeout=30)
    producer.close()


NEEDED = [(command, rule) for command in LONG_RUNNING for rule in LISTED[command]]


@pytest.mark.parametrize(("command", "rule"), NEEDED, ids=[f"{command}: {rule}" for command, rule in NEEDED])
def test_a_process_without_one_of_its_acls_names_it(
    secured: Secured, mongo_home: str, tmp_path: Path, command: str, rule: Rule
) -> None:
    user = f"{command}-{NEEDED.index((command, rule))}"
    secured.add_user(user)
    secured.allow_patterns(user, *(other.grant for other in LISTED[command] if other != rule))
    product = product_of(tmp_path, secured, mongo_home, {command: user, "alerting": "alerting"} | {command: user})
    try:
        product.start_standin(**UNLIMITED)
        number = 10_000 + NEEDED.index((command, rule))
        send(secured, topics.REPORTS, json.dumps(report(number)).encode())
        send(secured, topics.REPORTS, b"no report")
        for topic in (topics.ALERT_STATE, topics.DELIVERIES, topics.OPERATOR_ACTIONS):
            send(secured, topic, b"{}")  # nobody reads an empty topic, nor needs to
        for needed in {"alerting", command} if command == "notify" else {command}:
            product.start(needed)
        words = "the consumer group" if rule.kind == ResourceType.GROUP else "the topic"
        wanted = f"Kafka's ACLs do not let us use {words}: {rule.name}"
        log = product.log(command)
        product.wait(lambda: wanted in log.read_text(), WAIT_SECONDS, f"{wanted!r} in the log")
        lines = [line for line in log.read_text().splitlines() if wanted in line]
        assert "docs/kafka-security.md" in lines[0]
        assert "Traceback" not in log.read_text()
    finally:
        product.close()


def rejected_messages(page: str) -> httpx.Response:
    return httpx.get(f"{page}/api/v1/rejects", timeout=60)


def silence(page: str) -> httpx.Response:
    body = {"country": "Chad", "by": "Ada"}
    return httpx.post(f"{page}/api/v1/silences", json=body, headers={"Origin": page}, timeout=60)


ASK: dict[str, Callable[[str], httpx.Response]] = {
    topics.REJECTED: rejected_messages,
    topics.OPERATOR_ACTIONS: silence,
}
"""What the page uses each of its topics for."""


@pytest.mark.parametrize("rule", LISTED["serve"], ids=str)
def test_a_page_without_one_of_its_acls_names_it_and_does_the_rest(
    secured: Secured, mongo_home: str, tmp_path: Path, rule: Rule
) -> None:
    user = f"serve-{LISTED['serve'].index(rule)}"
    secured.add_user(user)
    secured.allow_patterns(user, *(other.grant for other in LISTED["serve"] if other != rule))
    product = product_of(tmp_path, secured, mongo_home, {"serve": user})
    try:
        product.start_page()
        refused = ASK[rule.name](product.page)
        wanted = f"Kafka's ACLs do not let us use the topic: {rule.name}"
        assert (refused.status_code, refused.json().get("detail", "").startswith(wanted)) == (503, True), refused.text
        (line,) = [line for line in product.log("serve").read_text().splitlines() if wanted in line]
        assert "docs/kafka-security.md" in line
        assert "Traceback" not in product.log("serve").read_text()
        for name in ASK.keys() - {rule.name}:
            assert ASK[name](product.page).status_code != 503, name
    finally:
        product.close()


@pytest.mark.parametrize("command", LONG_RUNNING)
def test_a_process_may_do_no_others_part(secured: Secured, command: str) -> None:
    """Its user writes to no topic but its own."""
    own = {rule.name for rule in LISTED[command] if rule.operation == ACLOperation.WRITE}
    producer = clients.producer(secured.scram(command), max_block_ms=5000)
    for topic in TOPICS.keys() - own:
        with pytest.raises(Exception, match=r"TopicAuthorizationFailed|not authorized|Authoriz"):
            producer.send(topic, b"x").get(timeout=30)
    producer.close(timeout=1)


@pytest.mark.parametrize("command", ["replay", "aggregate"])
def test_a_command_without_its_acl_ends_with_one_sentence(
    secured: Secured, mongo_home: str, tmp_path: Path, command: str
) -> None:
    secured.add_user("nobody")
    csv = tmp_path / "events.csv"
    oracle.write(csv, ROWS[:5])
    product = product_of(tmp_path, secured, mongo_home, {command: "nobody"})
    arguments = {"replay": [csv, "--start", "2021-03-22T00:00:00Z", "--clock", "fleet"], "aggregate": []}[command]
    done = product.run(command, *arguments, "--views=alerts" if command == "aggregate" else "--rate=1000", check=False)
    assert done.returncode != 0
    topic = {"replay": topics.REPORTS, "aggregate": topics.ALERTS}[command]
    assert f"Kafka's ACLs do not let us use the topic: {topic}" in done.stderr
    assert "Traceback" not in done.stderr
