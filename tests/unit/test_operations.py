"""The operations port says who works, who waits for what, and who is stuck."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

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


def test_slow_clients_take_no_more_than_their_share(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as held:
        for _ in range(operations.MOST_CONNECTIONS - 1):
            held.enter_context(socket.create_connection((host, int(port)))).sendall(b"GET /healthz HT")
        assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
        last = held.enter_context(socket.create_connection((host, int(port))))
        last.sendall(b"GET /healthz HT")
        more = held.enter_context(socket.create_connection((host, int(port))))
        more.settimeout(30)
        assert more.recv(1) == b""
