"""Logs of every process: one line an event on stderr, key=value, UTC, secrets masked."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from infra.redaction import redact


def configure(process: str) -> None:
    """Call once, at the start of a process; `process` names it in every line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _name_errors,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "process", "event"], bool_as_flag=False
            ),
            _redact_line,  # last: a secret may hide in a list, in a traceback, anywhere
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def _name_errors(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = f"{type(value).__name__}: {value}"
    return event


def _redact_line(_logger: Any, _method: str, line: Any) -> str:
    return redact(line)
