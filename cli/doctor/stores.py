"""MongoDB and the lake: reachable, able to do what Peacewatch needs, with room and the same clock."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pymongo.errors import OperationFailure, PyMongoError

from cli.doctor.finding import Finding, fine, verdict, wrong
from fleet.errors import ServiceUnavailable
from infra.mongo.client import client, database

MONGO: Final = "MongoDB"
LAKE: Final = "lake"
OLDEST_MONGO: Final = (6, 0)
WAIT_MS: Final = 5_000
CLOCKS_APART: Final = 5.0
"""Seconds. Leases and turns end by MongoDB's clock; a report ten minutes ahead of the broker's is rejected."""

FREE_BYTES: Final = 5 * 1024**3
"""What compaction and Spark lay by for a fleet's hour, with the hour itself."""


def look_at_mongo(uri: str) -> Iterator[Finding]:
    """The findings. Never raises for what MongoDB does, and never shows the URI."""
    try:
        with client(uri, "doctor", WAIT_MS, 2 * WAIT_MS) as connected:
            hello = connected.admin.command("hello")
            version = connected.server_info()["version"]
            yield mongo_version(version)
            yield replica_set(hello)
            yield clock(MONGO, hello["localTime"].replace(tzinfo=UTC), datetime.now(UTC))
            yield _may_write(connected)
    except OperationFailure as error:
        said = f"MongoDB refuses: {(error.details or {}).get('errmsg', type(error).__name__)}"
        yield wrong(MONGO, "reachable", said, "look at user, password and authSource in PEACEWATCH_MONGO_URI")
    except PyMongoError as error:
        yield wrong(MONGO, "reachable", type(error).__name__, "look at PEACEWATCH_MONGO_URI, and whether it runs")


def mongo_version(version: str) -> Finding:
    """Whether MongoDB is new enough."""
    return verdict(
        MONGO,
        "version",
        tuple(int(part) for part in version.split(".")[:2]) >= OLDEST_MONGO,
        version,
        f"MongoDB {OLDEST_MONGO[0]} or newer: snapshot reads of several collections",
    )


def replica_set(hello: Mapping[str, Any]) -> Finding:
    """Whether the server is a member of a set. `hello`: its answer to this command."""
    return verdict(
        MONGO,
        "replica set",
        "setName" in hello,
        f"{hello['setName']}, {len(hello['hosts'])} members" if "setName" in hello else "stands alone",
        "start it with --replSet and run rs.initiate(): transactions and change streams need one",
    )


def _may_write(connected: Any) -> Finding:
    name = f"doctor_{uuid.uuid4().hex}"
    try:
        collection = database(connected)[name]
        collection.insert_one({"_id": "probe"})
        collection.drop()
    except OperationFailure as error:
        said = (error.details or {}).get("errmsg", type(error).__name__)
        return wrong(MONGO, "may write", str(said), "give the user readWrite on the database of PEACEWATCH_MONGO_URI")
    return fine(MONGO, "may write", database(connected).name)


def clock(part: str, theirs: datetime, ours: datetime) -> Finding:
    """Whether two clocks agree."""
    apart = abs((ours - theirs).total_seconds())
    return verdict(part, "clock", apart <= CLOCKS_APART, f"{apart:.1f} s apart", "run chrony or ntpd on both machines")


def look_at_lake(lake: str) -> Iterator[Finding]:
    """The findings. Never raises for what the store does."""
    if "://" in lake:
        yield from _object_store(lake)
        return
    folder = Path(lake)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    yield verdict(
        LAKE,
        "may write",
        os.access(there, os.W_OK),
        str(folder),
        f"give {there} to the user that runs Peacewatch, or set PEACEWATCH_LAKE",
    )
    yield room(LAKE, there)


def room(part: str, folder: Path) -> Finding:
    """Whether the disk below `folder` has room for a fleet's hour."""
    return enough_room(part, shutil.disk_usage(folder).free)


def enough_room(part: str, free: int) -> Finding:
    """Whether `free` bytes are enough for a fleet's hour."""
    return verdict(
        part,
        "room",
        free >= FREE_BYTES,
        f"{free / 1024**3:.0f} GiB free",
        "`peacewatch vacuum` deletes what no reader needs; else a larger disk",
    )


def _object_store(lake: str) -> Iterator[Finding]:
    from infra.conditional_writes import require_conditional_writes  # noqa: PLC0415 - loads the lake's client

    try:
        require_conditional_writes(lake)
    except ServiceUnavailable as error:
        mend = (
            "look at the AWS_* variables (AWS_ALLOW_HTTP=true for a store without TLS) and the bucket;"
            " a store without conditional writes loses reports"
        )
        yield wrong(LAKE, "conditional writes", str(error), mend)
    else:
        yield fine(LAKE, "conditional writes", lake)
