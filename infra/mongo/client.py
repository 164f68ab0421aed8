"""MongoDB as the batch layer uses it, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from fleet.errors import ServiceUnavailable

Documents = Database[dict[str, Any]]

WAIT_MS = 15_000
"""A restarted server is back within this; Airflow tries again after it."""


@contextmanager
def connect(uri: str) -> Iterator[Documents]:
    """The database that `uri` names. Raises ServiceUnavailable for whatever MongoDB has against it."""
    with errors():
        client: MongoClient[dict[str, Any]] = MongoClient(
            uri, tz_aware=True, serverSelectionTimeoutMS=WAIT_MS, appname="peacewatch-batch"
        )
        with client:
            yield client.get_default_database("peacewatch")


@contextmanager
def errors() -> Iterator[None]:
    """MongoDB's errors as one sentence of ours."""
    try:
        yield
    except PyMongoError as error:
        reason = " ".join(str(error).split())[:200]
        raise ServiceUnavailable(f"MongoDB does not answer, so nothing more is published: {reason}") from None
