"""A log line is key=value on stderr, and shows no secret, wherever it hides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from infra import logs

WEBHOOK = "https://discord.com/api/webhooks/123/very-secret_token"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configured() -> structlog.stdlib.BoundLogger:
    """Called in the test itself: pytest captures a fixture's stderr elsewhere."""
    logs.configure("landing")
    log: structlog.stdlib.BoundLogger = structlog.get_logger()
    return log


def test_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configured().info("committed", version=7, rows=5000)
    written = capsys.readouterr()
    assert written.out == ""
    assert "level=info process=landing event=committed" in written.err
    assert "version=7 rows=5000" in written.err
    assert written.err.startswith("timestamp=20")


@pytest.mark.parametrize(
    "fields",
    [
        {"url": WEBHOOK},
        {"reason": OSError(f"cannot reach {WEBHOOK}")},
        {"urls": [WEBHOOK]},
        {"answer": {"url": WEBHOOK}},
    ],
    ids=["text", "exception", "list", "mapping"],
)
def test_no_field_shows_a_secret(capsys: pytest.CaptureFixture[str], fields: dict[str, object]) -> None:
    configured().warning("trouble", **fields)
    shown = capsys.readouterr().err
    assert "very-secret" not in shown
    assert "webhooks/123/***" in shown


def fails(log: structlog.stdlib.BoundLogger) -> None:
    try:
        Path(f"/nowhere/{WEBHOOK}").read_bytes()
    except OSError:
        log.exception("trouble")


def test_no_traceback_shows_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    fails(configured())
    shown = capsys.readouterr().err
    assert "very-secret" not in shown
    assert "FileNotFoundError" in shown
