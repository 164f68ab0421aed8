"""`peacewatch replay` and `peacewatch simulate` as people run them, against a real Kafka."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition

from fleet import topics
from infra.kafka import clients

HEADER = "DroneID,Record,Citizen,Message,PeaceScore,Country,City,Latitude,Longitude,Battery,Alert\n"
ROWS = [f'{i % 3},R-{i},"Åse, ""B"" {i}",Hallo,4,Norway,Oslo,59.9,10.7,55,{i % 2}\n' for i in range(30)]
START = ["--start", "2021-03-22T00:00:00Z", "--clock", "fleet"]


def peacewatch(kafka: str, *arguments: Any, **options: Any) -> Any:
    environ = {**os.environ, "PEACEWATCH_KAFKA_BOOTSTRAP": kafka}
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, **options)


def count(kafka: str) -> Any:
    """Messages in `reports` so far; 0 when there is no such topic."""
    consumer = clients.consumer(kafka)
    try:
        partitions = [TopicPartition(topics.REPORTS, n) for n in consumer.partitions_for_topic(topics.REPORTS) or ()]
        return sum(consumer.end_offsets(partitions).values()) if partitions else 0
    finally:
        consumer.close()


@pytest.fixture
def csv_file(tmp_path: Path) -> Any:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "".join(ROWS), encoding="utf-8")
    return path


def test_replay_sends_the_file(kafka: str, csv_file: Any) -> None:
    before = count(kafka)
    result = peacewatch(kafka, "replay", csv_file, *START)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"30 reports sent; Kafka at {kafka} has acknowledged all of them\n"
    assert count(kafka) - before == 30


def test_replay_with_a_wrong_row_sends_nothing_without_skip(kafka: str, csv_file: Any) -> None:
    before = count(kafka)
    csv_file.write_text(HEADER + "".join([*ROWS[:20], ROWS[20].replace("59.9", "159.9"), *ROWS[21:]]), encoding="utf-8")
    result = peacewatch(kafka, "replay", csv_file, *START)
    reason = "rows.csv, line 22, column Latitude: '159.9' is not from -90 to 90\n"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"peacewatch: {reason}")
    assert count(kafka) == before
    result = peacewatch(kafka, "replay", csv_file, *START, "--skip-bad-rows", "--rate", 500)
    assert (result.returncode, result.stderr) == (0, f"peacewatch: skipped {reason}")
    assert "29 reports sent" in result.stdout
    assert count(kafka) - before == 29


def test_simulate_sends_its_fleet(kafka: str) -> None:
    before = count(kafka)
    result = peacewatch(kafka, "simulate", "--drones", 7, "--rate", 500, "--seed", 3, "--duration", "1s")
    assert (result.returncode, result.stderr) == (0, "")
    assert "500 reports sent" in result.stdout
    assert count(kafka) - before == 500


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_simulate_without_an_end_stops_when_asked_and_prints_its_count(kafka: str, number: Any) -> None:
    before = count(kafka)
    environ = {**os.environ, "PEACEWATCH_KAFKA_BOOTSTRAP": kafka}
    command = [sys.executable, "-m", "cli", "simulate", "--rate", "20"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as child:
        while count(kafka) == before and child.poll() is None:
            pass
        child.send_signal(number)
        result, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert result == f"{count(kafka) - before} reports sent; Kafka at {kafka} has acknowledged all of them\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "absent.csv", *START], "absent.csv: cannot be read: No such file or directory"),
        (["replay", "x.csv", "--clock", "fleet"], "Missing option '--start'."),
        (["replay", "x.csv", *START[:3], "sun"], "Invalid value for '--clock'"),
        (
            ["replay", "x.csv", *START, "--rate", "5", "--as-fast-as-possible"],
            "--rate: contradicts --as-fast-as-possible",
        ),
        (["simulate", "--drones", "0"], "drones: at least one drone is needed"),
        (["simulate", "--drones", "many"], "Invalid value for '--drones'"),
        (["simulate", "--rate", "-5"], "--rate: -5 is not a rate"),
    ],
)
def test_bad_options_are_one_sentence(kafka: str, arguments: Any, says: Any) -> None:
    result = peacewatch(kafka, *arguments)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"peacewatch: {says}")
