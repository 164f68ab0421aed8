"""Every process logs JSON alone where the setting says so, from its start to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from infra.kafka.topics import create_topics
from laptop import ports
from laptop.supervision import processes
from tests.support import lakes
from tests.support.waiting import answers

READY_SECONDS = 120.0


@pytest.mark.parametrize(
    ("command", "process"),
    [("land", "landing"), ("alerting", "alerting"), ("notify", "notify"), ("record", "record"), ("serve", "serving")],
)
def test_all_lines_of_a_process_are_json(
    kafka: str, mongo_uri: str, tmp_path: Path, free_port: int, command: str, process: str
) -> None:
    create_topics(kafka)
    environ = {
        **os.environ,
        "PEACEWATCH_HOME": str(tmp_path),
        "PEACEWATCH_KAFKA_BOOTSTRAP": kafka,
        "PEACEWATCH_MONGO_URI": mongo_uri,
        "PEACEWATCH_WEB_PORT": str(ports.free_port()),
        "PEACEWATCH_OPERATIONS_PORT": str(free_port),
        "PEACEWATCH_LOG_FORMAT": "json",
        "PEACEWATCH_LANDING_METRICS_PORT": str(ports.free_port()),
    }

    child = processes.start(command, [sys.executable, "-m", "cli", command], tmp_path / "log", env=environ)
    child.wait_ready(lambda: answers(f"http://127.0.0.1:{free_port}/readyz"), READY_SECONDS)
    metrics = httpx.get(f"http://127.0.0.1:{free_port}/metrics").text
    assert child.stop() == 0, child.log.read_text()
    lines = json_lines(child.log.read_text())
    assert {line["process"] for line in lines} <= {process}
    assert lines or command in ("record", "serve"), "these two log nothing while all is well"
    assert f'process="{command}"' in next(
        line for line in metrics.splitlines() if line.startswith("peacewatch_build_info")
    )


def json_lines(text: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert all({"timestamp", "level", "process", "event"} <= line.keys() for line in lines)
    return lines


BATCH: Final[dict[str, tuple[str, ...]]] = {
    "aggregate": (),
    "compact": (),
    "seal": ("--keep-days", "3000"),
    "vacuum": (),
    "trim-log": (),
    "backup": ("--to", "copies"),
    "report": ("build", "--day", str(lakes.START.date())),
}


def test_all_lines_of_the_batch_commands_are_json(mongo_uri: str, tmp_path: Path) -> None:
    """One after the other, as Airflow's tasks run them, without a Kafka; what is for people is on stdout."""
    lakes.make(tmp_path / "lake")
    lakes.land(tmp_path / "lake", lakes.some_rows(50))
    environ = {
        **os.environ,
        "PEACEWATCH_HOME": str(tmp_path),
        "PEACEWATCH_MONGO_URI": mongo_uri,
        "PEACEWATCH_KAFKA_BOOTSTRAP": f"127.0.0.1:{ports.free_port()}",
        "PEACEWATCH_LOG_FORMAT": "json",
    }
    said: dict[str, set[str]] = {}
    for command, options in BATCH.items():
        line = [sys.executable, "-m", "cli", command, *options]
        done = subprocess.run(line, env=environ, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said[command] = {each["process"] for each in json_lines(done.stderr)}
    assert {command: names for command, names in said.items() if not names <= {command}} == {}
    assert said["aggregate"]


def test_the_sentence_that_ends_a_process_is_json(kafka: str, tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "PEACEWATCH_HOME": str(tmp_path),
        "PEACEWATCH_KAFKA_BOOTSTRAP": kafka,
        "PEACEWATCH_OPERATIONS_PORT": kafka.rpartition(":")[2],
        "PEACEWATCH_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "cli", "land"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    [line] = [json.loads(text) for text in result.stderr.splitlines()]
    assert (line["level"], line["process"]) == ("critical", "landing")
    assert line["event"].startswith("the operations port 127.0.0.1:")
