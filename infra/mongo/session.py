"""Reading several collections at one instant."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure

Result = TypeVar("Result")

SNAPSHOT_GONE: Final = (239, 246)
"""MongoDB's codes for a snapshot that it cannot give now: too old, or from before a collection or index was created."""

PAUSES: Final = (0.05, 0.2, 0.5)
"""Seconds; what was just created is in every snapshot as soon as its creation is committed."""


def at_one_instant(database: Database[dict[str, Any]], read: Callable[[ClientSession], Result]) -> Result:
    """What `read` returns of a snapshot session; it may be called several times.

    Raises pymongo.errors.PyMongoError when MongoDB does not answer.
    """
    for pause in PAUSES:
        try:
            return _once(database, read)
        except OperationFailure as failure:
            if failure.code not in SNAPSHOT_GONE:
                raise
            time.sleep(pause)
    return _once(database, read)


def _once(database: Database[dict[str, Any]], read: Callable[[ClientSession], Result]) -> Result:
    with database.client.start_session(snapshot=True) as session:
        return read(session)
