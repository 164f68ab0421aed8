"""Logs of every process: one line an event on stderr, key=value, UTC, secrets blotted out."""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

_SECRETS: Final = (
    (re.compile(r"(/api/(?:v\d+/)?webhooks/\d+/)[^\s/?\"']+"), r"\1***"),  # a webhook's token
    (re.compile(r"(\w+://[^\s:/@]*:)[^\s@/]+@"), r"\1***@"),  # a password in a URI
)


def redact(text: str) -> str:
    """`text` with webhook tokens and passwords blotted out."""
    for pattern, blot in _SECRETS:
        text = pattern.sub(blot, text)
    return text


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
