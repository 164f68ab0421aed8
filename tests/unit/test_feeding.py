"""The pace of sending, and a file that is read twice."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fleet.errors import BadInput
from infra import stop_signals
from laptop.feed.csv_file import open_csv
from laptop.feed.producer import paced
from laptop.feed.run import Simulation

HEADER = "DroneID,Record,Citizen,Message,PeaceScore,Country,City,Latitude,Longitude,Battery,Alert\r\n"
ROW = "7,NOR-1,Åse,Hallo,4,Norway,Oslo,59.9,10.7,55,0\r\n"
START = datetime(2021, 3, 22, tzinfo=UTC)


class Clock:
    """A clock that sleeping moves; each reading costs `cost` seconds."""

    def __init__(self, cost: float = 0.0) -> None:
        self.now, self.cost = 100.0, cost

    def __call__(self) -> float:
        self.now += self.cost
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("rate", "cost", "seconds"), [(10, 0, 9.9), (10, 0.05, 9.9), (1000, 0.05, 5.05), (None, 0, 0)])
def test_the_mean_rate_holds_unless_the_machine_is_too_slow(rate: Any, cost: Any, seconds: Any) -> None:
    clock = Clock(cost)
    assert len(list(paced([(b"", b"")] * 100, rate, clock, clock.sleep))) == 100
    assert clock.now - 100 == pytest.approx(seconds, abs=0.2)


@pytest.mark.parametrize(("rate", "seconds", "total"), [(50, 2, 100), (0.1, 1, 1), (0.3, 10, 3)])
def test_how_many_a_simulation_makes(rate: Any, seconds: Any, total: Any) -> None:
    assert Simulation(5, rate, 0, START, timedelta(seconds=seconds)).total == total


def test_a_file_is_read_twice_and_may_start_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + ROW, encoding="utf-8-sig", newline="")
    with open_csv(path) as file:
        assert list(file.reports(START, "fleet")) == list(file.reports(START, "fleet"))
        assert [report.citizens[0].name for report in file.reports(START, "fleet")] == ["Åse"]


def test_a_pipe_is_read_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=lambda: pipe.write_text(HEADER + ROW, encoding="utf-8"))
    writer.start()
    with open_csv(pipe) as file:
        assert [len(list(file.reports(START, "drone"))) for _ in range(2)] == [1, 1]
    writer.join()


def test_a_wrong_byte_is_named_by_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes((HEADER + ROW).encode("latin-1"))
    with open_csv(path) as file, pytest.raises(BadInput, match=r"rows.csv, line 2, column Citizen: is not UTF-8"):
        list(file.reports(START, "fleet"))


@pytest.mark.parametrize("path", ["absent.csv", "."])
def test_an_unreadable_file_is_bad_input(tmp_path: Path, path: Any) -> None:
    with pytest.raises(BadInput, match="cannot be read"), open_csv(tmp_path / Path(path)):
        pass


def test_the_first_signal_asks_and_the_second_stops() -> None:
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a parent that ignores it, as nohup does, leaves it ignored
    with stop_signals.stop_event(once=True) as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.wait(60)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
