"""Data of a running 0.1.0 (tests.support.old_version) under this version: no figure changes and nothing is lost."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bson import json_util

from infra.mongo.client import Documents
from laptop import ports
from laptop.demo.watch import StackAddresses, Watch
from laptop.services import kafka
from tests.support.api_answers import answers
from tests.support.landing import landed
from tests.support.old_version import ARCHIVE, COMMANDS, SETTINGS
from tests.support.product import Product

WAIT_SECONDS = 240
DIFFERS = {"as_of", "version", "batch_version"}
"""Of an answer: when and at which version of the lake it is true."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    with tarfile.open(ARCHIVE) as packed:
        packed.extraction_filter = lambda member, _path: member  # the file is ours; an old Python ignores this
        packed.extractall(folder)
    return folder


@pytest.fixture
def home(archive: Path, mongo_database: Documents, tmp_path: Path) -> Path:
    """Files of the test's own, and the documents in its database."""
    for file in (archive / "documents").iterdir():
        if documents := [json_util.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]:
            mongo_database[file.stem].insert_many(documents)
    return Path(shutil.copytree(archive, tmp_path / "home"))


def read(home: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((home / name).read_text(encoding="utf-8"))
    return content


def changed(before: Any, now: Any, where: str = "") -> Iterator[str]:
    """What an answer of before has and that of now has not, or otherwise; fields that are new are no change."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in before.keys() - DIFFERS:
            yield from changed(before[name], now.get(name), f"{where}.{name}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from changed(old, new, f"{where}[{number}]")
    elif before != now:
        yield f"{where}: {before} is now {now}"


def test_the_api_answers_as_before(home: Path, mongo_uri: str) -> None:
    before, facts = read(home, "answers.json"), read(home, "facts.json")
    now = answers(mongo_uri, str(home / "lake"), "127.0.0.1:1", before)
    (listing,) = (answer for address, answer in now.items() if address.startswith("/api/v1/alerts?"))
    pending = [alert for alert in listing["alerts"] if alert["delivered_at"] is None]
    assert len(pending) == facts["unnotified"], "0.1.0 answered before these were raised"
    listing["alerts"] = [alert for alert in listing["alerts"] if alert not in pending]
    assert list(changed(before, now)) == []


def test_a_newer_layout_is_refused_in_a_sentence(home: Path, mongo_uri: str, mongo_database: Documents) -> None:
    mongo_database.layouts.update_one({"_id": "collections"}, {"$set": {"hours": 99}}, upsert=True)
    done = Product(home, {"PEACEWATCH_MONGO_URI": mongo_uri}).run("aggregate", check=False)
    assert done.returncode == 2
    assert "MongoDB's hours has layout 99 and this version of Peacewatch knows" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_this_version_continues_where_0_1_0_stopped(home: Path, mongo_uri: str, mongo_database: Documents) -> None:
    """A batch run computes what 0.1.0 would have; then pending reports land once, and pending alerts are notified."""
    facts, broker = read(home, "facts.json"), kafka.start(home, ports.free_port())
    services = {"PEACEWATCH_KAFKA_BOOTSTRAP": broker.address, "PEACEWATCH_MONGO_URI": mongo_uri}
    product, lake = Product(home, {**services, **SETTINGS}), str(home / "lake")
    with closing(Watch(StackAddresses(broker.address, lake, mongo_uri, None))) as watch:
        try:
            assert (watch.landed(), watch.unlanded()) == (facts["landed"], facts["unlanded"])
            for options in ((), ("--rebuild",)):
                product.run("aggregate", *options)
                computed = read(home, "computed.json")
                assert list(changed(computed, answers(mongo_uri, lake, broker.address, computed))) == []
            incidents = {each["_id"]: each for each in mongo_database.incidents.find()}
            product.start_standin(burst_requests=0, minute_requests=0)
            for command in COMMANDS:
                product.start(command)
            product.wait(lambda: watch.unlanded() == 0 and watch.unjudged() == 0, WAIT_SECONDS, "landing and judging")
            product.wait(
                lambda: grown(incidents, mongo_database) == facts["unnotified"],
                WAIT_SECONDS,
                "notifying what was pending",
            )
            assert mongo_database.alerts.count_documents({"delivered_at": None}) == 0
            assert len(landed(lake, "report_id")) == facts["landed"] + facts["unlanded"]
            assert sum(watch.raised().values()) == facts["raised"] == mongo_database.alerts.count_documents({})
            assert watch.rejected() == facts["rejected"]
            continued = {each["_id"]: each for each in mongo_database.incidents.find()}
            assert messages(continued) == messages(incidents), "open incidents continue in their messages"
            assert continued[facts["acknowledged"]]["acknowledged_by"] == "Mara"
            product.run("aggregate")
            (averages,) = answers(mongo_uri, lake, broker.address, ["/api/v1/statistics/averages"]).values()
            assert averages["reports"] == facts["landed"] + facts["unlanded"]
        finally:
            product.close()
            broker.kill()


def grown(before: dict[str, Any], database: Documents) -> int:
    """By how many alerts the incidents have grown."""
    now = {each["_id"]: each["alerts"] for each in database.incidents.find()}
    return sum(now.values()) - sum(each["alerts"] for each in before.values())


def messages(incidents: dict[str, Any]) -> dict[str, str]:
    """The Discord message of each incident."""
    return {name: each["message_id"] for name, each in incidents.items()}
