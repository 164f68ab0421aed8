"""Three real MongoDB servers in one replica set, with a key among them and a password for clients."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from infra.mongo import client as mongo
from laptop import ports
from laptop.services.mongo import mongod
from laptop.supervision import processes
from tests.support.secured_kafka import Authority
from tests.support.waiting import wait_for

NAME = "three"
WAIT_SECONDS = 120


class ReplicaSet:
    """`uri` is for clients, with user and password. A set made over the folder of an earlier one has all it had.

    With an `authority` it speaks TLS alone, to clients and among its members.
    """

    def __init__(self, home: Path, authority: Authority | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._authority = authority
        self._home, self._user, self._key = home, "peacewatch", home / "key"
        kept = home / "set.json"
        self._is_new = not kept.exists()
        if self._is_new:
            self._key.touch(mode=0o600)
            self._key.write_text(secrets.token_urlsafe(120).replace("-", "a").replace("_", "b"))
            kept.touch(mode=0o600)
            kept.write_text(json.dumps([secrets.token_hex(16), [ports.free_port() for _ in range(3)]]))
        self._password, self._ports = json.loads(kept.read_text())
        self._nodes = {port: self._start(port) for port in self._ports}

    @property
    def uri(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        tls = f"&tls=true&tlsCAFile={self._authority.file}" if self._authority else ""
        return f"mongodb://{self._user}:{self._password}@{hosts}/peacewatch?replicaSet={NAME}&authSource=admin{tls}"

    def begin(self) -> None:
        """Makes the set and its user; until the first user is there, the servers take them from this machine."""
        if not self._is_new:
            wait_for(lambda: self.primary() is not None, passing=(PyMongoError,))
            return
        members = [{"_id": at, "host": f"127.0.0.1:{port}"} for at, port in enumerate(self._ports)]
        settings = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}
        ca = f"&tls=true&tlsCAFile={self._authority.file}" if self._authority else ""
        first_only = f"mongodb://127.0.0.1:{self._ports[0]}/?directConnection=true{ca}"
        with MongoClient[dict[str, Any]](first_only, serverSelectionTimeoutMS=2_000) as first:
            first.admin.command("replSetInitiate", {"_id": NAME, "members": members, "settings": settings})
            wait_for(lambda: bool(first.admin.command("hello")["isWritablePrimary"]), passing=(PyMongoError,))
            first.admin.command("createUser", self._user, pwd=self._password, roles=["root"])
        wait_for(lambda: self.primary() is not None, passing=(PyMongoError,))

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

    @property
    def nodes(self) -> dict[int, processes.Child]:
        """Those that run, by their ports."""
        return dict(self._nodes)

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
        if self._authority is not None:
            certificate = self._authority.certificate(f"mongo-{port}")
            command += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(certificate)]
            command += ["--tlsCAFile", str(self._authority.file), "--tlsAllowConnectionsWithoutCertificates"]
        child = processes.start(f"MongoDB {port}", command, self._home / f"{port}.log")
        child.wait_ready(lambda: ports.answers(port, "127.0.0.1"), WAIT_SECONDS)
        return child


@contextmanager
def replica_set(home: Path, authority: Authority | None = None) -> Iterator[ReplicaSet]:
    servers = ReplicaSet(home, authority)
    try:
        servers.begin()
        yield servers
    finally:
        servers.close()
