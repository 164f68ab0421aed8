"""Which connection gives way when too many are open: the oldest idle one of who has most, never one at work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from serving.front.connections import Connections
from serving.front.protocol import MAX_TARGET
from serving.front.requests import Requests


class Fake:
    def __init__(self, client_key: str) -> None:
        self.client_key = client_key
        self.is_open = True

    def give_way(self) -> None:
        self.is_open = False


def opened(connections: Connections, client: str) -> Fake:
    made = Fake(client)
    assert connections.opened(made)
    return made


def test_up_to_the_bound_nobody_gives_way() -> None:
    connections = Connections(3)
    made = [opened(connections, name) for name in ("a", "a", "b")]
    assert all(connection.is_open for connection in made)
    assert len(connections) == connections.waiting == 3


def test_past_the_bound_the_greediest_client_loses_its_oldest() -> None:
    connections = Connections(3)
    neighbour, *greedy = (opened(connections, name) for name in ("b", "a", "a"))
    newcomer = opened(connections, "c")
    assert [connection.is_open for connection in (neighbour, *greedy, newcomer)] == [True, False, True, True]
    assert len(connections) == 3


def test_a_greedy_client_cannot_shut_out_itself_or_others() -> None:
    connections = Connections(50)
    neighbour = opened(connections, "neighbour")
    flood = [opened(connections, "greedy") for _ in range(500)]
    assert neighbour.is_open
    assert sum(connection.is_open for connection in flood) == 49
    assert opened(connections, "late").is_open
    assert opened(connections, "greedy").is_open


def test_a_request_at_work_is_never_cut() -> None:
    connections = Connections(2)
    first, second = (opened(connections, "a") for _ in range(2))
    connections.works(first)
    assert opened(connections, "b").is_open
    assert (first.is_open, second.is_open) == (True, False)


def test_where_all_work_a_newcomer_is_refused_until_one_is_done() -> None:
    connections = Connections(1)
    first = opened(connections, "a")
    connections.works(first)
    assert not connections.opened(Fake("b"))
    connections.waits(first)
    assert opened(connections, "b").is_open
    assert not first.is_open


@pytest.mark.parametrize("works", [False, True])
def test_closed_connections_leave_nothing_behind(works: bool) -> None:
    connections = Connections(2)
    for number in range(10):
        made = opened(connections, f"client {number}")
        if works:
            connections.works(made)
        connections.closed(made)
    assert len(connections) == connections.waiting == 0
    assert not connections._open
    assert not connections._waiting


@pytest.mark.parametrize(("length", "refused"), [(MAX_TARGET, 0), (MAX_TARGET + 1, 1)])
def test_requests_that_the_front_refuses_are_counted(length: int, refused: int) -> None:
    def app(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"yes"]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    def counted() -> float:
        return REGISTRY.get_sample_value("peacewatch_http_refused_total", {"status": "414"}) or 0.0

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
             "path": "/x", "raw_path": b"/" + b"x" * (length - 1), "query_string": b"", "headers": [],
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": ""}  # fmt: skip
    requests, before = Requests(app, 1), counted()
    asyncio.run(requests(scope, receive, send))
    requests.close()
    assert (sent[0]["status"], counted() - before) == (414 if refused else 200, refused)
