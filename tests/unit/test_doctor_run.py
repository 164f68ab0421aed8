"""`peacewatch doctor` ends, whatever a service does, and says so in its own form without secrets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from cli.doctor import discord, run, variables
from cli.doctor.finding import Finding, fine
from cli.doctor.run import Check
from fleet.errors import BadSettings
from infra import redaction
from infra.settings import PREFIX, Settings, load
from laptop.supervision.reaper import VARIABLE

SETTINGS = load({})
SECRET = "hunter2-of-the-doctor"


def raising(error: BaseException) -> Callable[[Settings], Iterator[Finding]]:
    def ask(_settings: Settings) -> Iterator[Finding]:
        yield fine("A", "first")
        raise error

    return ask


@pytest.mark.parametrize(
    ("error", "verdict", "said"),
    [
        (ModuleNotFoundError("no", name="httpx"), "unknown", "httpx is not installed here"),
        (BadSettings("PEACEWATCH_X: is wrong"), "wrong", "PEACEWATCH_X: is wrong"),
        *(
            (kind("nonsense"), "wrong", f"the check failed: {kind.__name__}: ")
            for kind in (KeyError, OSError, ValueError)
        ),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "wrong", "the check failed: UnicodeDecodeError"),
        (
            RuntimeError(f"mongodb://me:{SECRET}@db/x and \x1b[2J"),
            "wrong",
            "the check failed: RuntimeError: mongodb://me:",
        ),
    ],
)
def test_a_check_that_fails_is_a_finding_and_stops_no_other(error: Exception, verdict: str, said: str) -> None:
    checks = (Check("A", raising(error)), Check("B", lambda _: iter([fine("B", "second")])))
    first, failed, second = run.run(SETTINGS, checks=checks)
    assert (first.what, second.what) == ("first", "second")
    assert (failed.part, failed.verdict) == ("A", verdict)
    assert failed.said.startswith(said)
    assert SECRET not in failed.said
    assert "\x1b" not in failed.said
    json.dumps(failed.as_json())


def test_a_check_that_never_ends_is_given_up_and_what_it_found_is_kept() -> None:
    def ask(_settings: Settings) -> Iterator[Finding]:
        yield fine("A", "first")
        threading.Event().wait()

    first, given_up = run.run(SETTINGS, checks=[Check("A", ask, seconds=0.2)])
    assert (first.verdict, given_up.verdict, given_up.said) == ("fine", "wrong", "no answer within 0.2 s")


def test_a_loaded_secret_in_a_finding_does_not_show() -> None:
    redaction.hide(SECRET)
    [finding] = run.run(SETTINGS, checks=[Check("A", lambda _: iter([fine("A", "b", f"said {SECRET}")]))])
    assert finding.said == "said ***"


@pytest.mark.parametrize(
    ("environ", "findings"),
    [
        ({}, [("names", "fine", "")]),
        ({"PATH": "/bin", f"{PREFIX}LAKE": "/lake", f"{PREFIX}API_TOKENS_FILE": "/t"}, [("names", "fine", "")]),
        ({f"{PREFIX}KAFKA_PASWORD_FILE": SECRET}, [(f"{PREFIX}KAFKA_PASWORD_FILE", "wrong", "KAFKA_PASSWORD_FILE?")]),
        ({f"{PREFIX}KAFKA_USER_FILE": SECRET}, [(f"{PREFIX}KAFKA_USER_FILE", "wrong", "did you mean")]),
        ({f"{PREFIX}{'X' * 30}": SECRET}, [(f"{PREFIX}{'X' * 30}", "wrong", "docs/settings.md")]),
        ({f"{PREFIX}MISSPELT": ""}, [("names", "fine", "")]),
        (
            {f"{PREFIX}MONGO_URI": SECRET, f"{PREFIX}MONGO_URI_FILE": "/uri"},
            [(f"{PREFIX}MONGO_URI", "wrong", "unset one of them")],
        ),
        ({VARIABLE: "/home"}, [("names", "fine", "")]),
    ],
)
def test_a_variable_without_an_effect_is_named(environ: dict[str, str], findings: list[tuple[str, str, str]]) -> None:
    found = list(variables.check(environ))
    assert [(each.what, each.verdict) for each in found] == [finding[:2] for finding in findings]
    assert all(mend in each.mend for each, (_, _, mend) in zip(found, findings, strict=True))
    assert SECRET not in json.dumps([each.as_json() for each in found])


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """`answering(text)`: the address of a server that sends `text` to each connection, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(text: bytes) -> str:
            def once() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(text)

            threading.Thread(target=once, daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}/api/webhooks/1/token"

        yield serve


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (http("200 OK", '{"id": "1", "name": "alerts"}'), "fine", "webhook “alerts”"),
        (http("200 OK", '{"id": "1", "name": null}'), "fine", "webhook “”"),
        (http("200 OK", "<html>Sign in to this network</html>"), "wrong", "answers, but not as Discord does"),
        (http("200 OK", ""), "wrong", "answers, but not as Discord does"),
        (http("200 OK", "[]"), "wrong", "answers, but not as Discord does"),
        (http("204 No Content", ""), "wrong", "answers, but not as Discord does"),
        (http("401 Unauthorized", '{"code": 50027}'), "wrong", "answers 401"),
        (http("502 Bad Gateway", "<html>"), "wrong", "Discord answers 502"),
        (http("429 Too Many Requests", "{}"), "fine", "exists; it is rate limited now"),
        (b"SSH-2.0-OpenSSH\r\n", "wrong", "does not answer: RemoteProtocolError"),
        (b"", "wrong", "does not answer: RemoteProtocolError"),
    ],
)
def test_other_server_in_place_of_discord_is_recognised(
    answering: Callable[[bytes], str], answer: bytes, verdict: str, said: str
) -> None:
    [finding] = discord.check({"A": answering(answer)})
    assert (finding.verdict, finding.said) == (verdict, said)


def test_webhook_that_is_not_a_url_is_wrong() -> None:
    [finding] = discord.check({"A": "https://discord.example:port/api/webhooks/1/token"})
    assert (finding.verdict, finding.said) == ("wrong", "is not a URL")


def test_wrong_settings_are_a_finding_also_as_json() -> None:
    environ = {"PATH": os.environ["PATH"], "PEACEWATCH_WEB_PORT": "http"}
    command = [sys.executable, "-m", "cli", "doctor", "--json"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    [finding] = json.loads(result.stdout)
    assert (result.returncode, finding["verdict"]) == (1, "wrong")
    assert finding["said"].startswith("PEACEWATCH_WEB_PORT: ")
