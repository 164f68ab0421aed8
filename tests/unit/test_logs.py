"""A log line is key=value or JSON on stderr, and shows no secret, wherever it hides."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from infra import logs
from infra.redaction import hide

WEBHOOK = "https://discord.com/api/webhooks/123/very-secret_token"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    hooks = sys.excepthook, threading.excepthook
    yield
    sys.excepthook, threading.excepthook = hooks
    root = logging.getLogger()
    for handler in [known for known in root.handlers if isinstance(known, logs.LibraryHandler)]:
        root.removeHandler(handler)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configured(line_format: str = "logfmt") -> structlog.stdlib.BoundLogger:
    """Called in the test itself: pytest captures a fixture's stderr elsewhere."""
    logs.configure("landing", {"PEACEWATCH_LOG_FORMAT": line_format})
    log: structlog.stdlib.BoundLogger = structlog.get_logger()
    return log


def test_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configured().info("committed", version=7, rows=5000)
    written = capsys.readouterr()
    assert written.out == ""
    assert "level=info process=landing event=committed" in written.err
    assert "version=7 rows=5000" in written.err
    assert written.err.startswith("timestamp=20")


def test_a_line_of_a_thread_names_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    log = configured()
    thread = threading.Thread(target=lambda: log.info("committed"))
    thread.start()
    thread.join()
    assert "process=landing" in capsys.readouterr().err


@pytest.mark.parametrize("line_format", ["logfmt", "json"])
def test_a_librarys_warning_is_a_line_like_ours(capsys: pytest.CaptureFixture[str], line_format: str) -> None:
    configured(line_format)
    logging.getLogger("kafka.conn").info("nobody needs this")
    logging.getLogger("kafka.conn").warning("no answer from %s", WEBHOOK)
    [line] = capsys.readouterr().err.splitlines()
    fields = (
        json.loads(line) if line_format == "json" else dict(part.split("=", 1) for part in line.split() if "=" in part)
    )
    assert (fields["level"], fields["process"], fields["logger"]) == ("warning", "landing", "kafka.conn")
    assert "very-secret" not in line


def test_a_line_that_a_library_repeats_is_written_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    library = logging.getLogger("kafka.cluster")
    for _ in range(3):
        library.error("Topic %s not found in cluster metadata", "alerts")
        library.error("Topic %s not found in cluster metadata", "reports")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_repeated_lines_come_back_after_their_time_and_take_no_memory() -> None:
    now = 0.0
    repeated = logs.Repeated(lambda: now)

    def passes(words: str) -> bool:
        return repeated.filter(logging.LogRecord("kafka", logging.ERROR, "", 0, words, None, None))

    assert (passes("away"), passes("away")) == (True, False)
    now = logs.REPEATED_SECONDS
    assert (passes("away"), passes("away")) == (True, False)
    for number in range(2 * logs.MOST_REMEMBERED):
        assert passes(f"offset {number}")
        assert len(repeated._written) <= logs.MOST_REMEMBERED


def test_words_that_do_not_fit_their_text_pass() -> None:
    """Python's logging says so itself; a filter that raised would stop the library."""
    assert logs.Repeated().filter(logging.LogRecord("kafka", logging.ERROR, "", 0, "Topic %d", ("alerts",), None))


def test_configured_again_a_warning_is_still_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    configured()
    logging.getLogger("kafka.conn").warning("no answer")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_json_line_is_an_object_with_the_usual_keys_first(capsys: pytest.CaptureFixture[str]) -> None:
    configured("json").info("committed", version=7, rows=None, seconds=0.5, partitions={3: [1, 2]}, at=Path("/lake"))
    line = json.loads(capsys.readouterr().err)
    assert list(line)[:4] == ["timestamp", "level", "process", "event"]
    assert line["timestamp"].endswith("Z")
    assert {key: line[key] for key in ("level", "process", "event", "version", "rows", "seconds", "at")} == {
        "level": "info",
        "process": "landing",
        "event": "committed",
        "version": 7,
        "rows": None,
        "seconds": 0.5,
        "at": "/lake",
    }
    assert line["partitions"] == {"3": [1, 2]}


COMMANDS = "a\nb\x1b[31m\x9b31m\x7f\u202e\u2028\u2066c\r\x00"


@pytest.mark.parametrize("line_format", ["logfmt", "json"])
def test_no_word_of_a_drone_commands_a_terminal(capsys: pytest.CaptureFixture[str], line_format: str) -> None:
    configured(line_format).info(COMMANDS, drone_id=COMMANDS, names=[COMMANDS], place="日本")
    line = capsys.readouterr().err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066]", line)
    assert line.count("\n") == 1
    assert "日本" in line
    if line_format == "json":
        assert json.loads(line)["drone_id"] == COMMANDS


def test_a_secret_that_json_escapes_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    hide('pass"word\\ü')
    configured("json").warning("refused", answer={"said": ['it was pass"word\\ü']})
    assert json.loads(capsys.readouterr().err)["answer"] == {"said": ["it was ***"]}


@pytest.mark.parametrize("levels", [logs.DEEPEST - 1, logs.DEEPEST, logs.DEEPEST + 50])
def test_a_secret_is_masked_however_deep_it_lies(capsys: pytest.CaptureFixture[str], levels: int) -> None:
    value: Any = WEBHOOK
    for _ in range(levels):
        value = [value]
    configured("json").warning("trouble", value=value)
    line = capsys.readouterr().err
    assert "very-secret" not in line
    assert json.loads(line)["event"] == "trouble"


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        ("raise ValueError('no such figure')", "ValueError: no such figure"),
        ("import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()", "ZeroDivisionError"),
        ("import warnings; warnings.warn('old')", "old"),
        ("from infra.logs import end; end('Kafka is away')", "Kafka is away"),
    ],
    ids=["error", "thread", "warning", "last sentence"],
)
def test_all_that_a_json_process_writes_is_json(fails: str, expected: str) -> None:
    program = f"from infra import logs; logs.configure('landing')\n{fails}"
    environ = {**os.environ, "PEACEWATCH_LOG_FORMAT": "json"}
    result = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    [line] = result.stderr.splitlines()
    assert expected in json.dumps(json.loads(line))


@pytest.mark.parametrize("begins", ["logs.configure('landing')", "logs.mask_uncaught_errors()"])
@pytest.mark.parametrize("line_format", ["logfmt", "json"])
@pytest.mark.parametrize(
    "fails",
    ["fail()", "import threading; t = threading.Thread(target=fail); t.start(); t.join()"],
    ids=["error", "thread"],
)
def test_no_uncaught_error_shows_a_secret(begins: str, line_format: str, fails: str) -> None:
    program = f"""
from infra import logs
{begins}
def fail():
    raise ValueError({WEBHOOK[::-1]!r}[::-1] + ' \\x1b[2J')
{fails}
"""
    environ = {**os.environ, "PEACEWATCH_LOG_FORMAT": line_format}
    result = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert "ValueError" in result.stderr
    assert "webhooks/123/***" in result.stderr
    assert "very-secret" not in result.stderr
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_infinite_numbers_are_text_in_json(capsys: pytest.CaptureFixture[str], number: float) -> None:
    configured("json").info("x", seconds=number, several=[number], by={"a": number}, whole=1.5)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    line = json.loads(capsys.readouterr().err, parse_constant=refuse)
    shown = str(number)
    assert (line["seconds"], line["several"], line["by"], line["whole"]) == (shown, [shown], {"a": shown}, 1.5)


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
@pytest.mark.parametrize("line_format", ["logfmt", "json"])
def test_no_field_shows_a_secret(
    capsys: pytest.CaptureFixture[str], fields: dict[str, object], line_format: str
) -> None:
    configured(line_format).warning("trouble", **fields)
    shown = capsys.readouterr().err
    assert "very-secret" not in shown
    assert "webhooks/123/***" in shown


def fails(log: structlog.stdlib.BoundLogger) -> None:
    try:
        Path(f"/nowhere/{WEBHOOK}").read_bytes()
    except OSError:
        log.exception("trouble")


@pytest.mark.parametrize("line_format", ["logfmt", "json"])
def test_no_traceback_shows_a_secret(capsys: pytest.CaptureFixture[str], line_format: str) -> None:
    fails(configured(line_format))
    shown = capsys.readouterr().err
    assert "very-secret" not in shown
    assert "FileNotFoundError" in shown


def test_json_stays_json_whatever_looks_like_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    configured("json").info("x", reason='authorization: "abc" refused', password="hunter22", at={"api_key": "k"})
    line = json.loads(capsys.readouterr().err)
    assert ("abc" in line["reason"], line["password"], line["at"]) == (False, "***", {"api_key": "***"})


HUGE = "x\x1b\n" * 350_000


@pytest.mark.parametrize("line_format", ["logfmt", "json"])
@pytest.mark.parametrize(
    "fields",
    [{"message": HUGE}, {"reason": ValueError(HUGE)}, {"several": [HUGE] * 9}, {"deep": {"a": {HUGE: HUGE}}}],
    ids=["text", "error", "list", "mapping"],
)
def test_a_strangers_megabyte_is_cut(
    capsys: pytest.CaptureFixture[str], fields: dict[str, object], line_format: str
) -> None:
    configured(line_format).warning("trouble", **fields)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "event=trouble" in line or json.loads(line)["event"] == "trouble"
    assert "characters" in line
    assert len(line) < 6 * logs.LONGEST_LINE + 1000  # an escape has six characters


@pytest.mark.parametrize("line_format", ["logfmt", "json"])
@pytest.mark.parametrize(("many", "is_cut"), [(logs.LONGEST_TEXT, False), (logs.LONGEST_TEXT + 1, True)])
def test_a_long_text_is_whole_up_to_a_bound(
    capsys: pytest.CaptureFixture[str], many: int, is_cut: bool, line_format: str
) -> None:
    configured(line_format).info("said", words="w" * many)
    line = capsys.readouterr().err
    assert ("w" * many not in line) is (is_cut and line_format == "json")


@pytest.mark.parametrize("line_format", ["logfmt", "json"])
def test_many_long_texts_keep_a_line_whole(capsys: pytest.CaptureFixture[str], line_format: str) -> None:
    configured(line_format).info("said", **{f"words_{number}": "w" * 8000 for number in range(20)})
    line = capsys.readouterr().err
    assert len(line) < logs.LONGEST_LINE + 100
    if line_format == "json":
        assert list(json.loads(line)) == [*logs.FIRST_KEYS, "cut"]


def test_a_secret_at_the_cut_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    for line_format, longest in (("json", logs.LONGEST_TEXT), ("logfmt", logs.LONGEST_LINE)):
        for before in range(longest - 200, longest, 7):
            configured(line_format).info("said", words="w" * before + " " + WEBHOOK)
    assert "very" not in capsys.readouterr().err


@pytest.mark.parametrize(("count", "more"), [(0, 0), (20, 0), (21, 1), (5000, 4980)])
def test_a_line_names_the_first_of_many_ids(count: int, more: int) -> None:
    ids = [f"a{number}" for number in range(count)]
    assert logs.named("alert_ids", ids) == {"alert_ids": ids[:20], "more": more}
