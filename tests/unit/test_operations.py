"""The operations port says who works, who waits for what, and who is stuck."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest

from cli.commands import checks
from infra import operations, settings
from infra.operations import STUCK_SECONDS, Loops
from laptop import ports


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loops(clock: Clock) -> Loops:
    return Loops(clock)


@pytest.fixture
def url(loops: Loops) -> Iterator[str]:
    port = ports.free_port()
    server = operations.serve(port, "127.0.0.1", loops)
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()


def test_a_process_without_a_loop_is_alive_and_not_ready(url: str) -> None:
    assert httpx.get(f"{url}/healthz").status_code == 200
    assert httpx.get(f"{url}/readyz").json() == {"status": "wrong", "process": "has not begun to work"}


def test_healthcheck_asks_the_host_of_the_settings(
    loops: Loops, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = ports.free_port("127.0.0.2")
    server = operations.serve(port, "127.0.0.2", loops)
    monkeypatch.setenv("PEACEWATCH_OPERATIONS_PORT", str(port))
    monkeypatch.setenv("PEACEWATCH_OPERATIONS_HOST", "127.0.0.2")
    checks.healthcheck()
    assert capsys.readouterr().out == '{"status": "ok"}\n'
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("bound", ["0.0.0.0", "127.0.0.1", "::1", "::", "localhost"])
def test_healthcheck_reaches_the_port_at_every_address(
    loops: Loops, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bound: str
) -> None:
    port = ports.free_port()
    server = operations.serve(port, bound, loops)
    monkeypatch.setenv("PEACEWATCH_OPERATIONS_PORT", str(port))
    monkeypatch.setenv("PEACEWATCH_OPERATIONS_HOST", bound)
    checks.healthcheck()
    assert capsys.readouterr().out == '{"status": "ok"}\n'
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("bound", "asked"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.0.0.7", "10.0.0.7"), ("fd00::7", "[fd00::7]")],
)
def test_the_operations_port_is_asked_where_this_machine_reaches_it(bound: str, asked: str) -> None:
    assert settings.load(operations_host=bound).operations_probe_host == asked
    assert settings.load({}, web_host=bound).web_url == f"http://{asked}:18000"


def test_a_process_is_ready_when_all_its_loops_work(url: str, loops: Loops) -> None:
    loops.starting("alerting")
    assert httpx.get(f"{url}/readyz").json()["alerting"] == operations.STARTING
    loops.beat()
    loops.waiting("watch", "Kafka does not answer")
    answer = httpx.get(f"{url}/readyz")
    assert (answer.status_code, answer.json()["watch"]) == (503, "Kafka does not answer")
    loops.starting("watch")
    assert httpx.get(f"{url}/readyz").json()["watch"] == "Kafka does not answer"
    loops.beat()
    assert httpx.get(f"{url}/readyz").status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(STUCK_SECONDS, 200), (STUCK_SECONDS + 1, 503)])
def test_a_silent_loop_is_stuck(url: str, loops: Loops, clock: Clock, seconds: float, status: int) -> None:
    loops.starting("landing")
    clock.now = seconds
    assert httpx.get(f"{url}/healthz").status_code == status


def test_a_loop_that_waits_is_alive(url: str, loops: Loops, clock: Clock) -> None:
    loops.waiting("landing", "the store does not answer")
    clock.now = STUCK_SECONDS
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_loop_that_has_ended_is_missed_by_nobody(loops: Loops, clock: Clock) -> None:
    loops.starting("landing")
    loops.ended("landing")
    clock.now = 2 * STUCK_SECONDS
    assert loops.stuck() == {}


def test_metrics_are_prometheus_text(url: str) -> None:
    assert "# HELP" in httpx.get(f"{url}/metrics").text


def test_an_unknown_path_names_the_known_ones(url: str) -> None:
    answer = httpx.get(f"{url}/")
    assert (answer.status_code, answer.text) == (404, "/metrics, /healthz or /readyz\n")


@pytest.mark.parametrize("accept", ["", "*/*", "application/openmetrics-text; version=1.0.0", "text/plain;version=x.y"])
def test_metrics_are_there_whatever_form_is_asked_for(url: str, accept: str) -> None:
    answer = httpx.get(f"{url}/metrics?name[]=nothing", headers={"Accept": accept})
    assert answer.status_code == 200
    assert "python_info" in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/nowhere"])
def test_head_is_get_without_a_body(url: str, path: str) -> None:
    got, asked = httpx.get(url + path), httpx.head(url + path)
    assert (asked.status_code, asked.headers["content-type"]) == (got.status_code, got.headers["content-type"])
    assert asked.content == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_not_known(url: str, method: str) -> None:
    assert httpx.request(method, f"{url}/healthz").status_code == 501


def test_reasons_show_no_secret(url: str, loops: Loops) -> None:
    loops.waiting("live views", "OperationFailure: mongodb://me:password-of-me@db/p does not answer")
    answer = httpx.get(f"{url}/readyz").text
    assert "mongodb://me:***@db/p" in answer
    assert "password-of-me" not in answer


def connected(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


HOSTILE = {
    "nothing": b"",
    "garbage": b"\x16\x03\x01\x02\x00\x01" * 200,
    "no version": b"GET /healthz\r\n",
    "an odd version": b"GET /healthz HTTP/9.9.9\r\n\r\n",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: a",
    "a huge line": b"GET /" + b"a" * 10_000_000 + b" HTTP/1.1\r\n\r\n",
    "a huge header": b"GET /healthz HTTP/1.1\r\nA: " + b"a" * 10_000_000 + b"\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % each for each in range(99_999)) + b"\r\n",
    "a header for the terminal": b"GET /\x1b[2J HTTP/1.1\r\n\x1b[2J: \x1b[2J\r\n\r\n",
    "a version that is no number": b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=x\r\n\r\n",
    "a long body": b"POST /healthz HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + b"b" * 1_000_000,
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("leaves", [True, False])
def test_no_stranger_fills_the_log_or_stops_the_port(
    url: str, sent: bytes, leaves: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whether they wait for the answer or leave at once."""
    with connected(url) as stranger, suppress(OSError):  # it may be closed before all is sent
        stranger.sendall(sent)
        if not leaves:
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(1 << 20):
                pass
    assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def test_a_client_that_sends_nothing_is_disconnected_without_a_word(
    url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(operations._Handler, "timeout", 0.05)
    for sent in (b"", b"GET /healthz HT"):
        with connected(url) as slow:
            slow.sendall(sent)
            assert slow.recv(1) == b""
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("more", "is_answered"), [(0, True), (1, False)])
def test_a_head_has_a_bound(url: str, more: int, is_answered: bool) -> None:
    start, end = b"GET /healthz HTTP/1.1\r\nA: ", b"\r\n\r\n"
    with connected(url) as client:
        client.sendall(start + b"a" * (operations.LARGEST_HEAD - len(start) - len(end) + more) + end)
        assert client.recv(12) == (b"HTTP/1.0 200" if is_answered else b"")


def test_slow_clients_keep_no_probe_out(url: str) -> None:
    """Each holds its connection for as long as it likes; for a further one, the oldest is ended."""
    with ExitStack() as held:
        slow = [held.enter_context(connected(url)) for _ in range(3 * operations.MOST_CONNECTIONS)]
        for each in slow:
            with suppress(OSError):
                each.sendall(b"GET /healthz HT")
        assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
        ended = slow[: -operations.MOST_CONNECTIONS]
        for each in ended:
            with suppress(ConnectionResetError):
                assert each.recv(1) == b""
        assert len(operation_threads()) <= operations.MOST_CONNECTIONS


def operation_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "process_request_thread" in thread.name]


def test_many_scrapers_at_once_are_all_answered(url: str) -> None:
    with ThreadPoolExecutor(operations.MOST_CONNECTIONS) as pool:
        answers = list(pool.map(lambda _: httpx.get(f"{url}/metrics", timeout=60).status_code, range(64)))
    assert answers == [200] * 64
