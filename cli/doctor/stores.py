"""MongoDB and the lake: whether they are reachable, do what Peacewatch needs, have space, and agree on the time."""

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
from infra.mongo.client import client, database, reason

MONGO: Final = "MongoDB"
LAKE: Final = "lake"
OLDEST_MONGO: Final = (6, 0)
WAIT_MS: Final = 5_000
CLOCKS_APART: Final = 5.0
"""Seconds. Leases and locks end by MongoDB's clock; a report ten minutes ahead of the broker's is rejected."""

FREE_BYTES: Final = 5 * 1024**3
"""Space for an hour of a fleet's reports, and for the temporary files of compaction and Spark."""


def check_mongo(uri: str) -> Iterator[Finding]:
    """The findings, without the URI. Raises nothing if MongoDB fails, and BadSettings for a wrong URI."""
    try:
        with client(uri, "doctor", WAIT_MS, 2 * WAIT_MS) as connected:
            hello = connected.admin.command("hello")
            version = connected.server_info()["version"]
            yield mongo_version(version)
            yield replica_set(hello)
            yield clock(MONGO, hello["localTime"].replace(tzinfo=UTC), datetime.now(UTC))
            yield _may_write(connected)
    except OperationFailure as error:
        yield wrong(MONGO, "reachable", reason(error), "check user, password and authSource in PEACEWATCH_MONGO_URI")
    except PyMongoError as error:
        yield wrong(MONGO, "reachable", reason(error), "check PEACEWATCH_MONGO_URI, and whether MongoDB runs")


def mongo_version(version: str) -> Finding:
    """Whether MongoDB is new enough."""
    return verdict(
        MONGO,
        "version",
        tuple(int(part) for part in version.split(".")[:2]) >= OLDEST_MONGO,
        version,
        f"use MongoDB {OLDEST_MONGO[0]} or newer: it has snapshot reads of several collections",
    )


def replica_set(hello: Mapping[str, Any]) -> Finding:
    """Whether the server is a member of a set. `hello`: its answer to the command of this name."""
    return verdict(
        MONGO,
        "replica set",
        "setName" in hello,
        f"{hello['setName']}, {len(hello['hosts'])} members" if "setName" in hello else "is not in one",
        "start it with --replSet and run rs.initiate(): transactions and change streams need one",
    )


def _may_write(connected: Any) -> Finding:
    name = f"doctor_{uuid.uuid4().hex}"
    try:
        collection = database(connected)[name]
        collection.insert_one({"_id": "probe"})
        collection.drop()
    except OperationFailure as error:
        return wrong(
            MONGO, "may write", reason(error), "give the user readWrite on the database of PEACEWATCH_MONGO_URI"
        )
    return fine(MONGO, "may write", database(connected).name)


def clock(part: str, theirs: datetime, ours: datetime) -> Finding:
    """Whether two clocks agree."""
    apart = abs((ours - theirs).total_seconds())
    return verdict(part, "clock", apart <= CLOCKS_APART, f"{apart:.1f} s apart", "run chrony or ntpd on both machines")


def check_lake(lake: str) -> Iterator[Finding]:
    """The findings. Raises nothing if the store fails."""
    if "://" in lake:
        yield from _object_store(lake)
        return
    folder = Path(lake)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    yield verdict(
        LAKE,
        "may write",
        existing.is_dir() and os.access(existing, os.W_OK),
        str(folder),
        f"give {existing} to the user that runs Peacewatch, or set PEACEWATCH_LAKE",
    )
    yield free_space(LAKE, existing)


def free_space(part: str, folder: Path) -> Finding:
    """Whether the disk of `folder` has space for an hour of a fleet."""
    return enough_space(part, shutil.disk_usage(folder).free)


def enough_space(part: str, free: int) -> Finding:
    """Whether `free` bytes are enough for an hour of a fleet."""
    return verdict(
        part,
        "room",
        free >= FREE_BYTES,
        f"{free / 1024**3:.0f} GiB free",
        "`peacewatch vacuum` deletes what no reader needs; if that is not enough, use a larger disk",
    )


IMPATIENT: Final = {"timeout": "10s", "max_retries": "1", "retry_timeout": "20s"}
"""Options of deltalake's store, which else retries a store that does not answer for three minutes."""


def _object_store(lake: str) -> Iterator[Finding]:
    from infra.conditional_writes import require_conditional_writes  # noqa: PLC0415 - loads the lake's client

    try:
        require_conditional_writes(lake, IMPATIENT)
    except ServiceUnavailable as error:
        mend = (
            "check the AWS_* variables (AWS_ALLOW_HTTP=true for a store without TLS) and the bucket;"
            " a store without conditional writes loses reports"
        )
        yield wrong(LAKE, "conditional writes", str(error), mend)
    else:
        yield fine(LAKE, "conditional writes", lake)
