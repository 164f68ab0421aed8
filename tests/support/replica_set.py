"""Three real MongoDB servers in one replica set, with a key among them and a password for clients."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pymongo.errors import PyMongoError

from infra.mongo import client as mongo
from laptop import ports
from laptop.services.mongo import mongod
from laptop.supervision import processes

NAME = "three"
WAIT_SECONDS = 120


class ReplicaSet:
    """`uri` is for clients, with user and password."""

    def __init__(self, home: Path) -> None:
        self._home, self._user, self._password = home, "peacewatch", secrets.token_hex(16)
        self._key = home / "key"
        self._key.touch(mode=0o600)
        self._key.write_text(secrets.token_urlsafe(120).replace("-", "a").replace("_", "b"))
        self._ports = [ports.free_port() for _ in range(3)]
        self._nodes = {port: self._start(port) for port in self._ports}

    @property
    def uri(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"mongodb://{self._user}:{self._password}@{hosts}/peacewatch?replicaSet={NAME}&authSource=admin"

    def begin(self) -> None:
        """Makes the set and its user; until the first user is there, the servers take them from this machine."""
        members = [{"_id": at, "host": f"127.0.0.1:{port}"} for at, port in enumerate(self._ports)]
        settings = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}
        with mongo.direct("127.0.0.1", self._ports[0]) as first:
            first.admin.command("replSetInitiate", {"_id": NAME, "members": members, "settings": settings})
            wait(lambda: bool(first.admin.command("hello")["isWritablePrimary"]))
            first.admin.command("createUser", self._user, pwd=self._password, roles=["root"])
        wait(lambda: self.primary() is not None)

    def primary(self) -> int | None:
        """The port of the primary that a majority agrees on."""
        with mongo.client(self.uri, "test", 2_000, 5_000) as connected, suppress(PyMongoError):
            connected.admin.command("ping")
            return connected.primary[1] if connected.primary else None
        return None

    def step_down(self) -> None:
        """The primary hands over to another."""
        with mongo.client(self.uri, "test", 10_000, 20_000) as connected:
            connected.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)

    def kill_primary(self) -> int:
        """With SIGKILL; its port."""
        port = self.primary()
        assert port is not None
        self._nodes.pop(port).kill()
        return port

    def restart(self, port: int) -> None:
        self._nodes[port] = self._start(port)

    def close(self) -> None:
        for child in self._nodes.values():
            child.kill()

    def _start(self, port: int) -> processes.Child:
        data = self._home / str(port)
        data.mkdir(exist_ok=True)
        command = [
            *(str(mongod()), "--dbpath", str(data), "--port", str(port), "--bind_ip", "127.0.0.1", "--replSet", NAME),
            *("--keyFile", str(self._key), "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "128", "--nounixsocket"),
        ]
        child = processes.start(f"MongoDB {port}", command, self._home / f"{port}.log")
        child.wait_ready(lambda: ports.answers(port, "127.0.0.1"), WAIT_SECONDS)
        return child


@contextmanager
def replica_set(home: Path) -> Iterator[ReplicaSet]:
    servers = ReplicaSet(home)
    try:
        servers.begin()
        yield servers
    finally:
        servers.close()


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with suppress(PyMongoError):
            if until():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)
