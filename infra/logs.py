"""Logs of every process: one line per event on stderr, in UTC, with secrets masked.

`PEACEWATCH_LOG_FORMAT` chooses the format: `logfmt` (key=value, the default) or `json` (an object). Warnings and errors
of libraries, which use Python's own logging, get the same format. With `json`, an uncaught error and the sentence that
ends a process have it, too, so that a collector can parse everything.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from fleet.text import escaped
from infra.redaction import names_secret, redact

Format = Literal["logfmt", "json"]
VARIABLE: Final = "PEACEWATCH_LOG_FORMAT"
FIRST_KEYS: Final = ("timestamp", "level", "process", "event")
DEEPEST: Final = 6
"""Levels of lists and mappings that are kept in JSON; deeper ones become text, so that masking comes to an end."""

MOST_NAMED: Final = 20
"""Ids that one line names; a digest counts thousands of alerts."""

LONGEST_TEXT: Final = 8 * 1024
"""Characters of one value in JSON; an id has 200, a stack trace some thousands. A message of a drone may have a
million."""

LONGEST_LINE: Final = 64 * 1024
"""Characters of a line before escapes: what reads logs cuts longer ones anywhere, and half an object is no JSON."""

REPEATED_SECONDS: Final = 10.0
"""Some libraries repeat a line as often as they try: kafka-python ten times a second while a topic is missing."""

MOST_REMEMBERED: Final = 256
"""Different lines of libraries; lines with numbers in them are all different."""

Event = MutableMapping[str, Any]


def named(key: str, ids: Sequence[str]) -> dict[str, Any]:
    """The first of many ids under `key`, and how many more there are, for a line of the log."""
    return {key: ids[:MOST_NAMED], "more": max(0, len(ids) - MOST_NAMED)}


def configure(process: str, environ: Mapping[str, str] = os.environ) -> None:
    """Call once, at the start of a process; `process` names it in every line, of every thread.

    A wrong format is `logfmt` here: `settings.load` refuses it in a sentence.
    """
    line_format = _chosen(environ)
    common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        partial(_name_process, process),
    ]
    rendering: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        _name_errors,
        *_renderers(line_format),
    ]
    structlog.configure(
        processors=[*common, *rendering],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _route_libraries(common, rendering)
    if line_format == "json":
        _log_uncaught_errors()
    else:
        mask_uncaught_errors()


def end(sentence: str, environ: Mapping[str, str] = os.environ) -> None:
    """Writes the sentence that ends a process to stderr: for people, or as JSON for a process that logs so."""
    if _chosen(environ) == "json" and structlog.is_configured():
        structlog.get_logger().critical(sentence)
    else:
        print(f"peacewatch: {escaped(redact(sentence))}", file=sys.stderr)


def mask_uncaught_errors() -> None:
    """From now on an uncaught error's stack trace shows no secret."""

    def write(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if not issubclass(kind, (KeyboardInterrupt, SystemExit)):
            print(escaped(redact("".join(traceback.format_exception(kind, error, trace)))), end="", file=sys.stderr)

    sys.excepthook = write
    threading.excepthook = lambda failed: write(failed.exc_type, failed.exc_value, failed.exc_traceback)


def _chosen(environ: Mapping[str, str]) -> Format:
    return "json" if environ.get(VARIABLE) == "json" else "logfmt"


def _renderers(line_format: Format) -> list[structlog.typing.Processor]:
    if line_format == "logfmt":
        logfmt = structlog.processors.LogfmtRenderer(key_order=FIRST_KEYS, bool_as_flag=False)
        # Last: a secret may hide in a list, in a traceback, anywhere. Cut after it: half a secret would not be found.
        return [logfmt, _redact_line, _cut_line, _escape_line]
    # Quotes and line ends are escaped in JSON, so secrets are masked in the values, before they are written.
    return [_redact_values, _order_keys, structlog.processors.JSONRenderer(serializer=_serialize), _escape_line]


class Repeated(logging.Filter):
    """Lets each line of a library through once in REPEATED_SECONDS."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._written: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            line = (record.name, record.getMessage())
        except (TypeError, ValueError):
            return True  # words that do not fit their text: logging says so itself
        now = self._clock()
        if now - self._written.get(line, -math.inf) < REPEATED_SECONDS:
            return False
        if len(self._written) >= MOST_REMEMBERED:
            self._written.clear()
        self._written[line] = now
        return True


class LibraryHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """A type of its own, so that a second `configure` finds the handler of the first."""


def _route_libraries(common: list[structlog.typing.Processor], rendering: list[structlog.typing.Processor]) -> None:
    """Warnings and errors of Python's logging become lines like ours."""
    handler = LibraryHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.addFilter(Repeated())
    final = [ProcessorFormatter.remove_processors_meta, *rendering]
    with_logger = [*common, structlog.stdlib.add_logger_name]
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=with_logger, processors=final))
    root = logging.getLogger()
    for earlier in [known for known in root.handlers if isinstance(known, LibraryHandler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)


def _log_uncaught_errors() -> None:
    def log_error(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if not issubclass(kind, (KeyboardInterrupt, SystemExit)):
            structlog.get_logger().critical("uncaught error", exc_info=(kind, error, trace))

    sys.excepthook = log_error
    threading.excepthook = lambda failed: log_error(failed.exc_type, failed.exc_value, failed.exc_traceback)
    warnings.showwarning = _show_warning


def _show_warning(  # noqa: PLR0913, PLR0917 - as Python has it
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    structlog.get_logger().warning(str(message), category=category.__name__, at=f"{filename}:{lineno}")


def _name_process(process: str, _logger: Any, _method: str, event: Event) -> Event:
    event.setdefault("process", process)
    return event


def _name_errors(_logger: Any, _method: str, event: Event) -> Event:
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = f"{type(value).__name__}: {value}"
    return event


def _redact_values(_logger: Any, _method: str, event: Event) -> Event:
    return _redacted_pairs(event, DEEPEST)


def _redacted(value: Any, levels: int) -> Any:
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value  # JSON has no infinity: it becomes text
    if levels and isinstance(value, Mapping):
        return _redacted_pairs(value, levels - 1)
    if levels and isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted(part, levels - 1) for part in value]
    return _text(value)


def _redacted_pairs(pairs: Mapping[Any, Any], levels: int) -> dict[str, Any]:
    """A text whose key says that it is a secret is masked whatever it looks like, as in a line of logfmt."""
    return {
        _text(key): "***" if isinstance(value, str) and names_secret(str(key)) else _redacted(value, levels)
        for key, value in pairs.items()
    }


def _text(value: Any) -> str:
    return _cut(redact(value if isinstance(value, str) else str(value)), LONGEST_TEXT)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… of {len(text):,} characters"


def _serialize(event: Event, **_more: Any) -> str:
    """`event` as JSON; one of many values that is too long for a line keeps its first keys."""
    line = json.dumps(event, ensure_ascii=False)
    if len(line) <= LONGEST_LINE:
        return line
    kept = {key: event[key] for key in FIRST_KEYS if key in event}
    return json.dumps({**kept, "cut": f"{len(line):,} characters"}, ensure_ascii=False)


def _order_keys(_logger: Any, _method: str, event: Event) -> Event:
    return {key: event[key] for key in (*FIRST_KEYS, *event) if key in event}


def _redact_line(_logger: Any, _method: str, line: Any) -> str:
    return redact(line)


def _cut_line(_logger: Any, _method: str, line: Any) -> str:
    return _cut(line, LONGEST_LINE)


def _escape_line(_logger: Any, _method: str, line: Any) -> str:
    """Ids and names are text from drones, and people read the log in a terminal."""
    return escaped(line)
