"""The collection `view_parts`: further parts of documents that are too large for MongoDB.

A view's document has all of its content, or, if that is over `infra.mongo.cells.DOCUMENT_BYTES`, the first part: then
its field `parts` is the number of parts, and the others are here. A part's id names the version of its
document, so a document and its parts are changed in three steps that each leave readers right:

1. the parts of the new version are written; no document names them yet,
2. the document is replaced: from now on readers use these parts,
3. the parts of older versions are deleted; after a crash before this, the next writer of the document does it.

Readers read document and parts in one snapshot session (`infra.mongo.session`), else a writer may come in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Required, TypedDict

from pymongo.client_session import ClientSession

from fleet import identity
from infra.mongo.client import Documents, build_index
from infra.mongo.collection import Collection

Document = dict[str, Any]

NAME: Final = "view_parts"
EVERYTHING: Final = ("*",)
"""As `fields`: parts with their own ids, as they are stored."""

_OWN: Final = ("_id", "view", "of", "version", "part")


class PartDocument(TypedDict, total=False):
    """A part of a document of `view`; its content has the fields that the view's own documents have."""

    _id: Required[str]
    view: Required[str]
    of: Required[str]  # the document's id
    version: Required[int]  # of the document
    part: Required[int]  # from 1; part 0 is in the document itself
    cells: dict[str, list[Any]]
    last: bytes
    rest: bytes
    state: bytes


COLLECTION: Final = Collection(NAME, 1, PartDocument, "view, document, version and part", "aggregate")


@dataclass(frozen=True)
class Divided:
    """A document with its first part in it, and the content of the others."""

    document: Document
    others: tuple[Document, ...] = ()

    @classmethod
    def of(cls, document: Document, contents: Sequence[Document]) -> Divided:
        """`document` with `contents`, one or more."""
        first, *others = contents
        parts = {"parts": len(contents)} if others else {}
        return cls({**document, **first, **parts}, tuple(others))


def ensure_index(database: Documents) -> None:
    build_index(database[NAME], ("view", 1), ("of", 1), ("version", 1))


def write(database: Documents, view: str, divided: Divided, session: ClientSession | None = None) -> None:
    """Step 1."""
    document = divided.document
    for part, content in enumerate(divided.others, 1):
        name = {"view": view, "of": document["_id"], "version": document["version"], "part": part}
        _id = _part_id(view, document, part)
        database[NAME].replace_one({"_id": _id}, {**name, **content}, upsert=True, session=session)


def delete_older(database: Documents, view: str, ids: Sequence[str], session: ClientSession | None = None) -> None:
    """Step 3, for the documents `ids` of `view` as they are now."""
    those = database[NAME].distinct("of", {"view": view, "of": {"$in": list(ids)}}, session=session)
    documents = database[view].find({"_id": {"$in": those}}, {"version": 1, "parts": 1}, session=session)
    for document in documents:
        older: list[Document] = [{"version": {"$lt": document["version"]}}]
        older.append({"version": document["version"], "part": {"$gte": document.get("parts", 1)}})
        database[NAME].delete_many({"view": view, "of": document["_id"], "$or": older}, session=session)


def contents(
    database: Documents,
    view: str,
    document: Mapping[str, Any],
    session: ClientSession | None = None,
    fields: Sequence[str] = (),
) -> Iterator[Mapping[str, Any]]:
    """The document, then each of its other parts: what is content of it, or the `fields`."""
    yield document
    ids = [_part_id(view, document, part) for part in range(1, document.get("parts", 1))]
    if ids:
        chosen = None if fields == EVERYTHING else dict.fromkeys(fields, True) or dict.fromkeys(_OWN, False)
        yield from database[NAME].find({"_id": {"$in": ids}}, chosen, session=session, batch_size=1).sort("part")


def whole(
    database: Documents, view: str, documents: Iterable[Document], session: ClientSession | None = None
) -> Iterator[Document]:
    """Each document of cells with all of them: the lists of its parts are joined. Others are given as they are."""
    for document in documents:
        if document.get("parts", 1) == 1:
            yield document
            continue
        joined: dict[str, list[Any]] = {name: [] for name in document["cells"]}
        for content in contents(database, view, document, session, ["cells"]):
            for name in joined:
                joined[name] += content["cells"][name]
        yield {**document, "cells": joined}


def _part_id(view: str, document: Mapping[str, Any], part: int) -> str:
    return identity.join(view, document["_id"], str(document["version"]), str(part))
