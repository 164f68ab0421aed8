"""The collection of sessions: people who are signed in by OpenID Connect, each until `ends_at`."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypedDict

from pymongo import ASCENDING

from infra.mongo.client import Documents, build_index
from infra.mongo.collection import Collection


class SessionDocument(TypedDict):
    """A session. `sign_in` is unique: one answer of the provider begins one session. `id_token`: to sign out there."""

    _id: str
    sign_in: str
    issuer: str
    subject: str
    by: str
    role: str
    started_at: datetime
    ends_at: datetime
    id_token: str


COLLECTION: Final = Collection("sessions", 1, SessionDocument, "a hash of the cookie", "serve")


def ensure_indexes(database: Documents) -> None:
    """One session a sign-in, those of a person together, and MongoDB deletes what has ended."""
    build_index(database.sessions, ("sign_in", ASCENDING), unique=True)
    build_index(database.sessions, ("issuer", ASCENDING), ("subject", ASCENDING), ("started_at", ASCENDING))
    build_index(database.sessions, ("ends_at", ASCENDING), expireAfterSeconds=0)
