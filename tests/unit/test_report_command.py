"""A day that no report can be of is refused in a sentence, before anything is asked or built."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.main import app
from fleet.errors import BadInput

TOMORROW = f"{datetime.now(UTC) + timedelta(days=1, hours=15):%F}"
"""Also where clocks are fourteen hours ahead of UTC."""


@pytest.mark.parametrize("command", ["wait", "build", "publish"])
@pytest.mark.parametrize(
    ("day", "says"),
    [
        (TOMORROW, "lies in the future; today is"),
        ("9999-12-31", "lies in the future"),
        ("0001-01-01", "lies before 1970-01-01"),
        ("1969-12-31", "lies before 1970-01-01"),
        ("yesterday", "is not a date"),
        ("2026-02-30", "is not a date"),
        ("2026-11-24T08", "is not a date"),
    ],
)
def test_a_day_that_cannot_be_is_named(
    command: str, day: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEACEWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("PEACEWATCH_TIMEZONE", "Pacific/Auckland")
    with pytest.raises(BadInput, match=rf"^--day: .*{says}"):
        app(["report", command, "--day", day], standalone_mode=False)
