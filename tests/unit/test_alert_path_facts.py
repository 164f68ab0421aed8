"""The alerts' processes by their settings: rules, webhooks, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cli.wiring import alerts
from fleet.alerts.rules import UnrestRule
from infra import settings


def test_the_shipped_rules_are_in_force_when_nothing_is_set() -> None:
    rules = alerts.rules(settings.load({}))
    assert rules.unrest == UnrestRule()
    assert rules.low_battery is not None
    assert rules.low_battery.stations


def test_a_wrong_rule_ends_the_command_with_one_sentence(tmp_path: Path) -> None:
    wrong = tmp_path / "rules.toml"
    wrong.write_text("[unrest]\nscore_at_most = 11\n")
    command = [sys.executable, "-m", "cli", "alerting"]
    environ = {**os.environ, "PEACEWATCH_RULES": str(wrong)}
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == f"peacewatch: {wrong}, line 2: Expected `int` <= 10 - at `$.unrest.score_at_most`\n"


def test_a_url_is_read_again_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "url"
    file.write_text("https://old")
    monkeypatch.setenv("PEACEWATCH_DISCORD_WEBHOOK_URL_FILE", str(file))
    now = alerts.url_now(settings.load(), "webhook")
    assert now() == "https://old"
    file.write_text("https://new\n")
    assert now() == "https://new"
    file.unlink()
    assert now() == "https://old"  # what it began with, until there is a file again


def test_when_one_fails_the_others_end_and_its_error_is_raised() -> None:
    def fails(stop: threading.Event) -> None:
        raise RuntimeError("no")

    def waits(stop: threading.Event) -> None:
        stop.wait(60)

    with pytest.raises(RuntimeError, match="no"):
        alerts.run_together([waits, fails], threading.Event())


def test_a_second_webhook_takes_the_severe() -> None:
    one = alerts.channels(settings.load({}))
    two = alerts.channels(settings.load({}, severe_webhook_url="https://severe"))
    assert (len(one), len(two)) == (1, 2)
