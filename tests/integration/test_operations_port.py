"""The operations port of a command as shipped: ready when it works, and what it waits for when it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from infra.kafka.topics import create_topics
from laptop import ports
from laptop.supervision import processes

READY_SECONDS = 120.0


def environ(home: Path, kafka: str, port: int, **more: str) -> dict[str, str]:
    return {
        "PEACEWATCH_HOME": str(home),
        "PEACEWATCH_KAFKA_BOOTSTRAP": kafka,
        "PEACEWATCH_OPERATIONS_PORT": str(port),
        **more,
    }


def answers(port: int, path: str, status: int, text: str = "") -> Callable[[], bool]:
    def asked() -> bool:
        with suppress(httpx.HTTPError):
            answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)
            return answer.status_code == status and text in answer.text
        return False

    return asked


def healthcheck(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "healthcheck"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["alerting", "notify"])
def test_a_process_that_works_is_ready_and_alive(kafka: str, tmp_path: Path, free_port: int, command: str) -> None:
    create_topics(kafka)
    environment = environ(tmp_path, kafka, free_port)
    assert healthcheck(environment).returncode == 1
    program = [sys.executable, "-m", "cli", command]
    child = processes.start(command, program, tmp_path / "log", env={**os.environ, **environment})
    child.wait_ready(answers(free_port, "/readyz", 200), READY_SECONDS)
    alive = healthcheck(environment)
    metrics = httpx.get(f"http://127.0.0.1:{free_port}/metrics").text
    assert child.stop() == 0, child.log.read_text()
    assert (alive.returncode, '"status": "ok"' in alive.stdout) == (0, True)
    assert "process_resident_memory_bytes" in metrics


def test_a_process_without_its_kafka_is_alive_and_says_what_it_waits_for(tmp_path: Path, free_port: int) -> None:
    environment = environ(tmp_path, f"127.0.0.1:{ports.free_port()}", free_port)
    program = [sys.executable, "-m", "cli", "alerting"]
    child = processes.start("alerting", program, tmp_path / "log", env={**os.environ, **environment})
    child.wait_ready(answers(free_port, "/readyz", 503, "Unable to bootstrap"), READY_SECONDS)
    alive = healthcheck(environment)
    assert child.stop() == 0, child.log.read_text()
    assert alive.returncode == 0


def test_a_port_that_is_taken_is_one_sentence(kafka: str, tmp_path: Path, free_port: int) -> None:
    environment = environ(tmp_path, kafka, int(kafka.rpartition(":")[2]))
    program = [sys.executable, "-m", "cli", "alerting"]
    result = subprocess.run(program, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "the operations port 127.0.0.1:" in result.stderr
