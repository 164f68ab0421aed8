"""Every long-running process logs JSON alone where the setting says so, from its start to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from infra.kafka.topics import create_topics
from laptop import ports
from laptop.supervision import processes
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
    lines = [json.loads(line) for line in child.log.read_text().splitlines()]
    assert {line["process"] for line in lines} <= {process}
    assert all({"timestamp", "level", "event"} <= line.keys() for line in lines)
    assert f'process="{command}"' in next(
        line for line in metrics.splitlines() if line.startswith("peacewatch_build_info")
    )


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
