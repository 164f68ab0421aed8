"""A real Prometheus scrapes all processes by the shipped configuration, and has every metric of the page."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from fleet import topics
from infra.kafka.topics import create_topics
from laptop import ports
from laptop.services import kafka, mongo
from tests.support import prometheus
from tests.support.landing import report, send
from tests.support.product import UNLIMITED, Product
from tests.support.waiting import wait_for

ROOT: Final = Path(__file__).parents[2]
COMMANDS: Final = ("land", "alerting", "notify", "record", "serve")
WAIT_SECONDS: Final = 240
PICTURES: Final = os.environ.get("PEACEWATCH_TEST_PICTURES")
"""A folder for what the scrape saw; without it nothing is kept."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has scraped each process after it had work."""
    home = tmp_path_factory.mktemp("scrape")
    broker, database = kafka.start(home, ports.free_port()), mongo.start(home, ports.free_port())
    create_topics(broker.address)
    operations = {command: ports.free_port() for command in COMMANDS}
    own = {command: {"PEACEWATCH_OPERATIONS_PORT": str(port)} for command, port in operations.items()}
    places = {"PEACEWATCH_KAFKA_BOOTSTRAP": broker.address, "PEACEWATCH_MONGO_URI": database.uri}
    product = Product(home, places, own)
    try:
        product.start_standin(**UNLIMITED)
        for command in COMMANDS[:-1]:
            product.start(command)
        product.start_page()
        send(broker.address, topics.REPORTS, [b"no report", *(report(number) for number in range(300))])
        with prometheus.scraping(home, operations.values()) as address:
            product.wait(lambda: has_work(address), WAIT_SECONDS, "a scrape of work that was done")
            yield address
    finally:
        product.close()
        database.kill()
        broker.kill()


def query(address: str, words: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{address}/api/v1/query", params={"query": words}, timeout=30).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def has_work(address: str) -> bool:
    done = ("sum(up) == 5", "peacewatch_landing_reports_total == 300", "sum(peacewatch_notifications_total) > 0")
    return all(query(address, words) for words in done)


def documented() -> dict[str, set[str]]:
    """By metric of docs/operations.md, without the `_total` of counters: the processes that have it."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(peacewatch_\w+)` \| \w+ \| ([^|]+) \|", page, re.MULTILINE)
    found = {}
    for name, words in rows:
        named = set(re.findall(r"`([\w-]+)`", words))
        found[name.removesuffix("_total")] = set(COMMANDS) - named if words.startswith("all") else named & set(COMMANDS)
    return found


def test_prometheus_has_every_documented_metric_of_every_process(scraped: str) -> None:
    answer = httpx.get(f"{scraped}/api/v1/targets/metadata", timeout=30).raise_for_status().json()["data"]
    process = {row["metric"]["instance"]: row["metric"]["process"] for row in query(scraped, "peacewatch_build_info")}
    assert set(process.values()) == set(COMMANDS)
    seen: dict[str, set[str]] = {}
    for row in answer:
        if row["metric"].startswith("peacewatch_"):
            seen.setdefault(row["metric"].removesuffix("_total"), set()).add(process[row["target"]["instance"]])
    if PICTURES:
        Path(PICTURES, "scrape.json").write_text(json.dumps({k: sorted(v) for k, v in seen.items()}, indent=1))
    assert seen.keys() == documented().keys()
    assert {name: of for name, of in documented().items() if not of <= seen[name]} == {}


def test_its_alert_rules_are_loaded_and_evaluated_without_an_error(scraped: str) -> None:
    def health() -> dict[str, str]:
        groups = httpx.get(f"{scraped}/api/v1/rules", timeout=30).raise_for_status().json()["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    wait_for(lambda: "unknown" not in health().values(), WAIT_SECONDS, "the first evaluation of each rule")
    assert health()
    assert set(health().values()) == {"ok"}


def test_every_query_of_the_dashboard_is_answered(scraped: str) -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/peacewatch.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert queries
    for words in queries:
        query(scraped, words.replace("$__rate_interval", "1m"))
