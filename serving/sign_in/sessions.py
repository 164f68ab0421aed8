"""Sessions of people who signed in: kept in MongoDB, so that every server knows them and an admin can end them.

A browser has a secret in a cookie, MongoDB its hash: the database is not enough to sign in. A session keeps its role; a
role that was removed at the provider ends with the session (LASTS), or when an admin ends it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cachetools import TTLCache
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from infra.mongo import sessions as collection
from serving.config import Role
from serving.sign_in.provider import Person, Untrusted

COOKIE: Final = "peacewatch-session"
LASTS: Final = timedelta(hours=12)
"""A shift and a half, for a token's cookie as well. After it, a provider often signs people in again without asking."""

MOST: Final = 20
"""Sessions of one person; a new one ends the oldest."""

CACHED_SECONDS: Final = 2.0
"""How long a look-up is cached: a session that was ended stops working within this."""

CACHED: Final = 4096
"""Cookies whose look-up is cached, successful or not; each is some 500 bytes."""

SECRET_LENGTH: Final = 43
"""Characters of a cookie's secret, 256 bits; anything else is not looked up."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Session:
    """A session without its secret; `id` is none."""

    id: str
    owner: tuple[str, str]  # issuer and subject
    by: str
    role: Role
    started_at: datetime
    ends_at: datetime
    id_token: str = ""


class Sessions:
    """The sessions of one database. All raise PyMongoError when MongoDB does not answer."""

    def __init__(self, database: Database[Document], clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._is_indexed = False
        self._lock = threading.Lock()
        self._cache: TTLCache[str, Session | None] = TTLCache(CACHED, CACHED_SECONDS, clock)

    def begin(self, person: Person, role: Role, state: str) -> str:
        """Begins a session; the secret for the cookie. Raises Untrusted if the sign-in `state` has begun one."""
        if not self._is_indexed:
            collection.ensure_indexes(self._database)
            self._is_indexed = True
        secret, now = secrets.token_urlsafe(32), self._now()
        document = {
            "_id": _hash(secret),
            "sign_in": _hash(state),
            "issuer": person.issuer,
            "subject": person.subject,
            "by": person.name,
            "role": role,
            "started_at": now,
            "ends_at": now + LASTS,
            "id_token": person.id_token,
        }
        try:
            self._database.sessions.insert_one(document)
        except DuplicateKeyError:
            raise Untrusted("this sign-in has already begun a session") from None
        self._end_oldest(person)
        return secret

    def of_cookie(self, secret: str | None) -> Session | None:
        """The session of a cookie; None if it is unknown, has expired, or was ended."""
        if not secret or len(secret) != SECRET_LENGTH:
            return None
        key = _hash(secret)
        with self._lock:
            if key in self._cache:
                return self._in_time(self._cache[key])
        document = self._database.sessions.find_one({"_id": key})
        session = _session(document) if document else None
        with self._lock:
            self._cache[key] = session
        return self._in_time(session)

    def listed(self, owner: tuple[str, str] | None) -> list[Session]:
        """The sessions that have not ended, newest first; of `owner`, or of everybody."""
        wanted: Document = {"ends_at": {"$gt": self._now()}}
        if owner is not None:
            wanted |= {"issuer": owner[0], "subject": owner[1]}
        return [_session(each) for each in self._database.sessions.find(wanted).sort("started_at", -1).limit(500)]

    def end(self, session_id: str, owner: tuple[str, str] | None = None) -> bool:
        """Ends a session, of `owner` or (None) of anybody. Returns whether there was one."""
        wanted = {"_id": session_id}
        if owner is not None:
            wanted |= {"issuer": owner[0], "subject": owner[1]}
        ended = self._database.sessions.delete_one(wanted).deleted_count > 0
        with self._lock:
            self._cache.pop(session_id, None)
        return ended

    def _end_oldest(self, person: Person) -> None:
        of_person = {"issuer": person.issuer, "subject": person.subject}
        surplus = self._database.sessions.find(of_person, {"_id": True}).sort("started_at", -1).skip(MOST)
        for document in surplus:
            self.end(document["_id"])

    def _in_time(self, session: Session | None) -> Session | None:
        return session if session is not None and self._now() < session.ends_at else None

    def _now(self) -> datetime:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)  # as MongoDB keeps it


def _session(document: Document) -> Session:
    names = ("by", "role", "started_at", "ends_at", "id_token")
    owner = (document["issuer"], document["subject"])
    return Session(document["_id"], owner, **{name: document[name] for name in names})


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:32]
