"""A demo's own folder and ports."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import BadInput
from laptop.demo.home import KEPT, demo_settings

PORTS = ["kafka_port", "mongo_port", "web_port", "airflow_port", "discord_port"]
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PEACEWATCH_HOME", str(tmp_path))
    return tmp_path


def test_two_demos_share_nothing(home: Any) -> None:
    with demo_settings(NOW) as one, socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((one.host, one.kafka_port))
        taken.listen()
        with demo_settings(NOW + timedelta(seconds=1)) as two:
            assert one.home != two.home
            assert one.home.parent == two.home.parent == home / "demo"
            assert one.kafka_port != two.kafka_port
            assert len({getattr(two, name) for name in PORTS}) == len(PORTS)


def test_old_folders_go_but_the_newest_and_those_in_use_stay(home: Any) -> None:
    with demo_settings(NOW) as used:
        for number in range(1, 6):
            with demo_settings(NOW + timedelta(seconds=number)) as settings:
                (settings.home / "data").write_text("some")
        left = sorted(path.name for path in (home / "demo").iterdir())
        assert used.home.name in left
        assert settings.home.name in left
        assert len(left) == 1 + KEPT + 1
    assert used.home.exists()


def test_a_home_that_cannot_be_written_is_bad_input(home: Any) -> None:
    (home / "demo").write_text("a file")
    with pytest.raises(BadInput, match="PEACEWATCH_HOME"), demo_settings(NOW):
        pass
