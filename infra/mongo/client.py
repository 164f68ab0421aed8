"""The one place that makes clients of MongoDB, and MongoDB's errors as ours.

All clients of all layers write and read with majority: what a majority of the replica set has is never rolled back. So
what a reader has seen stays true after a change of the primary, and an offset that is committed after a write never
outlives the write. On a set of one it costs nothing: the server's own journal is the majority.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bson.errors import BSONError
from pymongo import IndexModel, MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError
from pymongo.uri_parser import split_options

from fleet.errors import BadSettings, DocumentRefused, ServiceUnavailable
from fleet.text import sentence
from infra import tls

Documents = Database[dict[str, Any]]
Client = MongoClient[dict[str, Any]]

DEFAULT_DATABASE: Final = "peacewatch"
"""The database, if the URI names none."""

WAIT_MS: Final = 15_000
"""A restarted server or a new primary answers within this time; after it, Airflow retries."""

MAJORITY_MS: Final = 20_000
"""A majority that has not accepted a write by then is away: the write fails as unavailable, and is retried."""

_SETTING: Final = "PEACEWATCH_MONGO_URI"
_FILES: Final = tls.Names(
    f"{_SETTING}: tlsCAFile", f"{_SETTING}: tlsCertificateKeyFile", f"{_SETTING}: tlsCertificateKeyFile"
)

_DETAILS: Final = re.compile(r" \(configured timeouts|, Timeout: ")
"""From here on pymongo's errors list time-outs and servers, which do not belong in a sentence."""

_COMMAND: Final = " to execute command"
_UNAUTHORIZED: Final = 13
_LOGIN: Final = frozenset({18, 8000})
"""MongoDB's codes for a wrong user or password: AuthenticationFailed, and Atlas' own."""

_REFUSED: Final = frozenset({2, 9, 14, 15, 52, 56, 57, 121, 10334, 17280, 17419, 17420})
"""MongoDB's codes for what it refuses each time: bad value, failed to parse, type mismatch, overflow,
field names that it does not take, what a collection's validator refuses, too large (10334 and 17280 to 17420), in
src/mongo/base/error_codes.yml.
"""


def client(uri: str, process: str, wait_ms: int = WAIT_MS, answer_ms: int | None = None) -> Client:
    """A client for `process`, which MongoDB's own log then names. It connects with the first question.

    `wait_ms`: for a server to be found, or to take a connection. `answer_ms`: for one answer; None: no limit.
    Raises BadSettings for a URI that `check` refuses.
    """
    check(uri)
    return MongoClient(
        uri,
        appname=f"peacewatch-{process}",
        tz_aware=True,
        serverSelectionTimeoutMS=wait_ms,
        connectTimeoutMS=wait_ms,
        socketTimeoutMS=answer_ms,
        w="majority",
        wTimeoutMS=MAJORITY_MS,
        readConcernLevel="majority",
    )


def check(uri: str) -> None:
    """Raises BadSettings if `uri` is wrong, whatever MongoDB says: a retry would not help. Connects to nothing.

    An unknown option, or one with a wrong value, is ignored by pymongo: `tls=yes` would connect without TLS.
    """
    said = uri.partition("?")[2]
    try:
        options = split_options(said, warn=False) if said else {}
        ca, pem = (Path(options[name]) if name in options else None for name in ("tlsCAFile", "tlsCertificateKeyFile"))
        if ca or pem:
            tls.context(_FILES, ca, pem, password=options.get("tlsCertificateKeyFilePassword"))
        MongoClient(uri, connect=False).close()
    except OSError as error:
        raise BadSettings(f"{_SETTING}: {error.strerror}: {error.filename}") from None
    except (PyMongoError, ValueError) as error:
        # With an @ there, what seems to be an option is the end of a password.
        wrong = "user and password must be percent-encoded" if "@" in said else sentence(error)
        raise BadSettings(f"{_SETTING}: {wrong}") from None


def direct(host: str, port: int, wait_ms: int = 2_000, answer_ms: int = 10_000) -> Client:
    """A client of one server, whatever its replica set says of it: to set it up, and to look at it alone."""
    return MongoClient(
        host, port, directConnection=True, serverSelectionTimeoutMS=wait_ms, socketTimeoutMS=answer_ms, tz_aware=True
    )


def database(connected: Client) -> Documents:
    """The database that the client's URI names."""
    return connected.get_default_database(DEFAULT_DATABASE)


def build_index(collection: Collection[dict[str, Any]], *keys: tuple[str, int], **options: Any) -> None:
    """Creates the index of `keys` if it is missing. It is there once a majority of the set has built it.

    MongoDB's default waits for all members: while one is away, and documents are there, it would wait for ever.
    """
    collection.create_indexes([IndexModel(keys, **options)], commitQuorum="majority")


@contextmanager
def connect(uri: str, process: str = "batch", wait_ms: int = WAIT_MS) -> Iterator[Documents]:
    """The database that `uri` names, while it is used. Raises as `errors` does."""
    with errors(), client(uri, process, wait_ms) as connected:
        yield database(connected)


@contextmanager
def errors() -> Iterator[None]:
    """MongoDB's errors as ours, in a sentence: DocumentRefused if it will never accept it, else ServiceUnavailable."""
    try:
        yield
    except (PyMongoError, BSONError) as error:
        if is_refused(error):
            raise DocumentRefused(f"MongoDB refuses a document: {reason(error)}") from None
        raise ServiceUnavailable(f"MongoDB does not answer: {reason(error)}") from None


def reason(error: Exception) -> str:
    """Why MongoDB fails, in one line, without what it was asked, which may hold what citizens say."""
    if isinstance(error, BulkWriteError):
        return sentence(Exception(_first_refusal(error.details or {})))
    if isinstance(error, OperationFailure):
        text = sentence(Exception((error.details or {}).get("errmsg") or str(error)))
        if error.code in _LOGIN:
            return f"it refuses our user or password ({_SETTING}): {text}"
        if error.code == _UNAUTHORIZED:
            return f"its user lacks the role readWrite on our database ({_SETTING}): {text.partition(_COMMAND)[0]}"
        return text
    return _DETAILS.split(sentence(error))[0]


def _first_refusal(details: Mapping[str, Any]) -> str:
    """What MongoDB says of the first write that failed; each has the whole document beside it, as `op`."""
    failed = [*details.get("writeErrors", []), *details.get("writeConcernErrors", [])]
    said = next((each["errmsg"] for each in failed if each.get("errmsg")), "a write failed")
    return f"{said}; {len(failed)} writes failed" if len(failed) > 1 else str(said)


def is_refused(error: Exception) -> bool:
    """Whether MongoDB, or its client, refuses what was sent for its content, and so each time."""
    if isinstance(error, BSONError):
        return True  # a document that is too large for one, or cannot be written as BSON; never left this process
    if isinstance(error, BulkWriteError):
        codes = [each.get("code") for each in (error.details or {}).get("writeErrors", [])]
        return bool(codes) and all(code in _REFUSED for code in codes)
    return isinstance(error, OperationFailure) and error.code in _REFUSED
