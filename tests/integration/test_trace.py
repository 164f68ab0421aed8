"""`peacewatch trace` says what became of a report, by what is stored, from the topic to the Discord message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from fleet import topics
from infra.kafka import clients
from infra.kafka.topics import create_topics
from laptop import ports
from laptop.services import kafka as kafka_server
from laptop.supervision import processes
from tests.support import standin
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(600)  # the first test starts four processes

REPORT: dict[str, Any] = {
    "report_id": "r-1",
    "drone_id": "drone-7",
    "reported_at": "2026-11-24T08:00:00Z",
    "latitude": 48.85,
    "longitude": 2.35,
    "battery": 80.0,
    "citizens": [{"name": "Zoe", "peace_score": 2}],
    "message": "they shout",
    "alert": True,
    "country": "France",
    "city": "Paris",
}
SENT = [
    {**REPORT, "report_id": "r-0", "alert": False},
    REPORT,
    REPORT,  # a duplicate
    {**REPORT, "message": "something else"},  # a conflict: rejected
    {**REPORT, "report_id": "r-2", "battery": 900.0},  # no report: rejected
]


STATE = "landed, rejected, people were notified"


class Run:
    """The pipeline as shipped, and what its processes logged."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        self.environ, self.folder = environ, folder

    def trace(self, *arguments: str, code: int = 0) -> Any:
        command = [sys.executable, "-m", "cli", "trace", *arguments]
        result = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)
        assert result.returncode == code, result.stderr
        return json.loads(result.stdout) if "--json" in arguments else result.stdout

    def lines(self, command: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / f"{command}.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def pipeline(mongo_server_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """With a Kafka of its own: a line of the recorder names the first of many alerts, which may be other tests'."""
    folder = tmp_path_factory.mktemp("trace")
    with ExitStack() as opened:
        broker = kafka_server.start(folder, ports.free_port())
        opened.callback(broker.kill)
        server = opened.enter_context(standin.serving(folder))
        create_topics(kafka := broker.address)
        environ = {
            **os.environ,
            "PEACEWATCH_HOME": str(folder),
            "PEACEWATCH_KAFKA_BOOTSTRAP": kafka,
            "PEACEWATCH_MONGO_URI": mongo_server_uri.replace("/peacewatch?", "/trace?"),
            "PEACEWATCH_DISCORD_WEBHOOK_URL": f"http://127.0.0.1:{server.server_port}{standin.ALERTS}",
            "PEACEWATCH_LOG_FORMAT": "json",
            "PEACEWATCH_OPERATIONS_PORT": "",
            "PEACEWATCH_WEB_PORT": str(ports.free_port()),
            "COLUMNS": "160",
        }
        run = Run(environ, folder)
        with closing(clients.producer(kafka)) as producer:
            for report in SENT:
                producer.send(topics.REPORTS, json.dumps(report).encode(), key=b"drone-7").get(timeout=60)
        children = [
            processes.start(name, [sys.executable, "-m", "cli", name], folder / f"{name}.log", env=environ)
            for name in ("land", "alerting", "notify", "record")
        ]
        try:
            wait_for(lambda: run.trace("drone-7", "r-1", "--json")["state"] == STATE, 300)
            yield run
        finally:
            for child in reversed(children):
                child.stop()


def steps(run: Run, report: str, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for step in run.trace("drone-7", report, "--json", *arguments)["steps"]:
        found.setdefault(step["where"], []).append(step)
    return found


def test_a_report_is_followed_from_the_topic_to_the_message(pipeline: Run) -> None:
    found = steps(pipeline, "r-1")
    [landed] = found["lake"]
    source = landed["source"]
    [alert] = [each for each in found["alert"] if each["source"] == source]
    [message] = [each for each in found["message"] if each["message_id"] == alert["message_id"]]
    assert source in {step["source"] for step in found["topic"]}
    assert landed["version"] >= 1
    assert (Path(pipeline.environ["PEACEWATCH_HOME"]) / "lake" / "reports" / landed["file"]).exists()
    assert alert["kind"] == "unrest"
    assert (message["webhook"], message["incident_id"]) == ("alerts", alert["incident_id"])
    assert message["posted_at"]


def test_duplicates_and_conflicts_are_named(pipeline: Run) -> None:
    found = steps(pipeline, "r-1")
    [landed], [duplicate], [rejected] = found["lake"], found["duplicate"], found["rejected"]
    partition, offset = landed["source"].split("/")[1:]
    assert duplicate["source"] == f"reports/{partition}/{int(offset) + 1}"
    assert rejected["source"] == f"reports/{partition}/{int(offset) + 2}"
    assert rejected["reason"]


def test_a_message_that_is_no_report_has_its_reason(pipeline: Run) -> None:
    found = steps(pipeline, "r-2")
    assert "lake" not in found
    [rejected] = found["rejected"]
    assert "battery" in rejected["detail"]


@pytest.mark.parametrize(("day", "there"), [("2026-11-24", True), ("2026-11-25", False)])
def test_a_day_narrows_what_is_read_of_the_lake(pipeline: Run, day: str, there: bool) -> None:
    assert ("lake" in steps(pipeline, "r-0", "--day", day)) == there


def test_people_read_a_table(pipeline: Run) -> None:
    shown = pipeline.trace("drone-7", "r-1")
    assert STATE in shown
    assert "Discord message" in shown


def test_an_unknown_report_is_exit_code_1(pipeline: Run) -> None:
    found = pipeline.trace("drone-7", "r-999", "--json", code=1)
    assert (found["steps"], found["state"]) == ([], "not found in the lake, on the topic, or in MongoDB")


def test_one_id_leads_through_the_log_lines_of_all_processes(pipeline: Run) -> None:
    [landed] = steps(pipeline, "r-1")["lake"]
    source = landed["source"]
    partition, offset = source.split("/")[1:]
    [raised] = [line for line in pipeline.lines("alerting") if line.get("source") == source]
    assert raised["event"] == "alert raised"
    assert any(raised["alert_id"] in line.get("alert_ids", ()) for line in pipeline.lines("notify"))
    assert any(source in line.get("sources", ()) for line in pipeline.lines("record"))
    spans = [span.split("/")[-2:] for line in pipeline.lines("land") for span in line.get("sources", ())]
    assert any(
        of == partition and int(span.split("-")[0]) <= int(offset) <= int(span.split("-")[1]) for of, span in spans
    )


@pytest.mark.slow
def test_a_service_that_is_away_is_named_and_the_rest_is_shown(pipeline: Run) -> None:
    environ = {**pipeline.environ, "PEACEWATCH_MONGO_URI": f"mongodb://127.0.0.1:{ports.free_port()}/fleet"}
    found = Run(environ, pipeline.folder).trace("drone-7", "r-1", "--json")
    assert list(found["away"]) == ["MongoDB"]
    assert {step["where"] for step in found["steps"]} >= {"topic", "lake"}
