"""Attacks on the web port of `peacewatch serve` as shipped, by somebody who can reach it and nothing else.

During each of them a neighbour's request is answered. A client is an address: on Linux all of 127/8 is this machine,
so an attacker has one of its own.
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from laptop import ports
from serving.front.protocol import MAX_HEAD, MAX_TARGET
from serving.limits import MAX_BODY, STREAMS_A_CLIENT
from serving.single_reports import MAX_MESSAGE
from tests.support import lakes

ATTACKER, NEIGHBOUR, LOCAL = "127.6.6.6", "127.7.7.7", "127.0.0.1"
SECONDS = 120
"""For what ought to happen at once, on a machine that may be busy."""

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PROBLEM = "application/problem+json"


class Served:
    """A `peacewatch serve`, and requests to it from an address."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self, source: str = ATTACKER) -> socket.socket:
        return socket.create_connection((LOCAL, self.port), timeout=SECONDS, source_address=(source, 0))

    def get(self, path: str, source: str = NEIGHBOUR) -> httpx.Response:
        transport = httpx.HTTPTransport(local_address=source)
        with httpx.Client(transport=transport, base_url=f"http://{LOCAL}:{self.port}", timeout=SECONDS) as client:
            return client.get(path)

    def assert_answers(self) -> None:
        """A neighbour, and the attacker's own address, too."""
        for source in (NEIGHBOUR, ATTACKER):
            assert self.get("/healthz", source).json() == {"status": "ok"}
            assert self.get("/api/v1/statistics/averages", source).status_code == 200

    def peak_mib(self) -> int:
        """The most memory that the process ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def command(**settings: str) -> tuple[list[str], dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PEACEWATCH_")}
    return [sys.executable, "-m", "cli", "serve"], kept | {
        f"PEACEWATCH_{key}": value for key, value in settings.items()
    }


@contextmanager
def serving(mongo_uri: str, lake: Path) -> Iterator[Served]:
    port = ports.free_port()
    what, environ = command(MONGO_URI=mongo_uri, KAFKA_BOOTSTRAP="127.0.0.1:1", LAKE=str(lake), WEB_PORT=str(port))
    process = subprocess.Popen(what, env=environ)
    served = Served(process, port)
    try:
        for _ in range(SECONDS * 2):
            try:
                if served.get("/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                select.select([], [], [], 0.5)
        yield served
        assert process.poll() is None, "the server has ended"
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 reports of one drone with texts of 900,000 characters that do not compress, in two commits."""
    home = tmp_path_factory.mktemp("lake")
    chance = random.Random(15)
    lakes.make(home)
    for start in range(0, 200, 100):
        texts = [chance.randbytes(450_000).hex() for _ in range(100)]
        lakes.land(
            home,
            [
                lakes.row(
                    start + n, NOON + timedelta(seconds=start + n), drone_id="big", country="France", message=text
                )
                for n, text in enumerate(texts)
            ],
        )
    return home


@pytest.fixture(scope="module")
def served(mongo_server_uri: str, lake: Path) -> Iterator[Served]:
    with serving(mongo_server_uri, lake) as server:
        yield server


def closed(open_sockets: list[socket.socket]) -> list[bytes]:
    """What each was sent until the server closed it."""
    said = []
    for each in open_sockets:
        parts = []
        while part := _received(each):
            parts.append(part)
        said.append(b"".join(parts))
    return said


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


HALVES = {
    "half a head": b"GET /api/v1/alerts HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "half a body": b"POST /api/v1/silences HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    "half a chunk": b"POST /api/v1/silences HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_slow_requests_stop_nobody_and_end_at_their_deadline(served: Served, half: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(served.connect())) for _ in range(300)]
        for each in slow:
            each.sendall(half)
        for each in slow:  # a byte more every now and then buys no time
            each.sendall(b"a")
        served.assert_answers()
        for said in closed(slow):
            assert said.startswith(b"HTTP/1.1 408 "), said[:80]
            assert PROBLEM.encode() in said


def test_idle_connections_stop_nobody(served: Served) -> None:
    most = min(3000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3)
    with ExitStack() as stack:
        idle = [stack.enter_context(closing(served.connect(f"127.6.{n % 9}.1"))) for n in range(most)]
        served.assert_answers()
        readable, _, _ = select.select(idle[:500], [], [], 0)
        assert readable == [], "they are held, not closed"


def test_streams_of_one_client_leave_room_for_others(served: Served) -> None:
    request = b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(served.connect())) for _ in range(200)]
        for stream in streams:
            stream.sendall(request)
        heads = [stream.recv(65536) for stream in streams]
        statuses = [head.split(b" ", 2)[1] for head in heads]
        assert (statuses.count(b"200"), statuses.count(b"503")) == (STREAMS_A_CLIENT, 200 - STREAMS_A_CLIENT)
        served.assert_answers()
        neighbours = stack.enter_context(closing(served.connect(NEIGHBOUR)))
        neighbours.sendall(request)
        assert neighbours.recv(65536).startswith(b"HTTP/1.1 200 ")


def exchange(served: Served, raw: bytes) -> tuple[int, bytes]:
    with closing(served.connect()) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # it answers before it has read all
            connection.sendall(raw)
        (said,) = closed([connection])
    return int(said.split(b" ", 2)[1]), said


def post(body: bytes, *headers: str) -> bytes:
    lines = ["POST /api/v1/silences HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]).encode()


WRONG: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "no http": (b"\x16\x03\x01\x02\x00\r\n\r\n", (400,)),
    "a length that is none": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", (400,)),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", (400,)),
    "length and chunks": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (400,),
    ),
    "a long target": (get("/" + "a" * MAX_TARGET), (414,)),
    "a long target without end": (b"GET /" + b"a" * (MAX_HEAD + 65536), (414,)),
    "a large head": (get("/", "X: " + "a" * MAX_HEAD), (431,)),
    "a large head without end": (b"GET / HTTP/1.1\r\nX: " + b"a" * (MAX_HEAD + 65536), (431,)),
    "a large body": (post(b" " * (MAX_BODY + 1)), (413,)),
    "a large body in chunks": (
        b"POST /api/v1/silences HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"ffff\r\n" + b"a" * 0xFFFF + b"\r\nffff\r\n" + b"a" * 0xFFFF + b"\r\n0\r\n\r\n",
        (413,),
    ),
    "60,000 brackets": (post(b"[" * 60_000), (400, 422)),
    "a number of 60,000 digits": (post(b'{"minutes": ' + b"9" * 60_000 + b"}"), (400, 422)),
    "half of a surrogate pair": (post(b'{"kind": "unrest", "note": "\\ud800"}'), (400, 422)),
    "bytes that are no UTF-8": (post(b'{"kind": "\xff"}'), (400, 422)),
    "another host": (b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", (421,)),
    "no host": (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", (400,)),
    "another site's page": (post(b'{"kind": "unrest"}', "Origin: https://evil.example"), (403,)),
    "a method that is none": (get("/api/v1/alerts").replace(b"GET", b"DELETE", 1), (405,)),
    "a zero in the path": (get("/api/v1/drones/%00"), (404,)),
    "no UTF-8 in the path": (get("/api/v1/drones/%ff%fe"), (404,)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_every_error_is_a_problem(served: Served, name: str) -> None:
    raw, statuses = WRONG[name]
    status, said = exchange(served, raw)
    assert status in statuses, said[:300]
    head, _, body = said.partition(b"\r\n\r\n")
    assert f"content-type: {PROBLEM}".encode() in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    assert json.loads(body)["status"] == status
    served.assert_answers()


CHUNKED = b"POST /api/v1/silences HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
ONE_OF_MANY = post(b" " * (MAX_BODY - 1)).replace(b"Connection: close\r\n", b"")
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "trailers": (CHUNKED + b"0\r\n", b"A: b\r\n" * 10_000),
    "a long trailer": (CHUNKED + b"0\r\nA: ", b"b" * 65_536),
    "an extension of a chunk": (CHUNKED + b"5;", b"a" * 65_536),
    "zeros of a chunk's length": (CHUNKED, b"0" * 65_536),
    "empty lines": (b"", b"\r\n" * 32_768),
    "empty lines behind a request": (get("/healthz").replace(b"Connection: close\r\n", b""), b"\r\n" * 32_768),
    "requests with a body, one behind the other": (b"", ONE_OF_MANY),
    "requests one behind the other": (b"", get("/").replace(b"Connection: close\r\n", b"") * 1000),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_requests_are_cut_off_and_cost_no_memory(served: Served, name: str) -> None:
    """One connection sent a gigabyte between requests, as trailers, or as requests that wait, which were all held."""
    served.assert_answers()
    before, (first, again) = served.peak_mib(), ENDLESS[name]
    with closing(served.connect()) as connection, suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(first)
        for _ in range(300 * 2**20 // len(again)):
            connection.sendall(again)
        raise AssertionError("300 MiB were taken")
    served.assert_answers()
    assert served.peak_mib() - before < 60


def test_a_field_behind_the_body_is_none_of_the_head(served: Served) -> None:
    headless = CHUNKED.replace(b"Host: localhost\r\n", b"Connection: close\r\n")
    status, _ = exchange(served, headless + b"2\r\n{}\r\n0\r\nHost: localhost\r\n\r\n")
    assert status == 400, "no host is named in the head"


def test_a_few_requests_one_behind_the_other_are_answered_in_order(served: Served) -> None:
    several = [get(f"/api/v1/none/{number}").replace(b"Connection: close\r\n", b"") for number in range(10)]
    _, said = exchange(served, b"".join(several) + get("/healthz"))
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"404"] * 10 + [b"200"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (get("/healthz?" + "a" * (MAX_TARGET - 200)), 200),
        (get("/healthz", "X: " + "a" * (MAX_HEAD - 600)), 200),
        (post(b" " * (MAX_BODY - 20) + b'{"minutes": 1}'), 422),
    ],
    ids=["target", "head", "body"],
)
def test_requests_at_the_bound_are_accepted(served: Served, raw: bytes, status: int) -> None:
    assert exchange(served, raw)[0] == status


def test_large_reports_cost_bounded_memory(served: Served) -> None:
    served.assert_answers()
    before = served.peak_mib()
    answer = served.get("/api/v1/reports?date=2026-11-24&drone=big&limit=5000")
    rows: list[dict[str, Any]] = answer.json()["reports"]
    assert len(rows) == 200
    assert {len(row["message"]) for row in rows} == {MAX_MESSAGE}
    assert {row["message_cut"] for row in rows} == {900_000 - MAX_MESSAGE}
    (whole,) = served.get("/api/v1/reports?date=2026-11-24&drone=big&report=r7").json()["reports"]
    assert (len(whole["message"]), whole["message_cut"]) == (900_000, 0)
    assert served.peak_mib() - before < 600, "the texts alone are 180 MB, and a page of Parquet may hold half of them"


def test_a_port_that_others_reach_needs_tokens(tmp_path: Path) -> None:
    what, environ = command(WEB_HOST="0.0.0.0", HOME=str(tmp_path))
    ended = subprocess.run(what, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines()[-1:] == [
        "peacewatch: PEACEWATCH_WEB_HOST is 0.0.0.0, which other machines can reach: set PEACEWATCH_API_TOKENS "
        "(`peacewatch token` makes one) or PEACEWATCH_OIDC_ISSUER"
    ]
