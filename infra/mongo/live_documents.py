"""The schemas of `live` and `live_parts` (queries: infra.mongo.live), for processes without the lake's libraries."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Required, TypedDict

from infra.mongo.collection import Collection


class LiveDocument(TypedDict, total=False):
    """A version of the lake. `cells` are those of fleet.figures.cube.HOURS of the commit's own rows."""

    _id: Required[int]
    committed_at: Required[datetime]
    cells: Required[dict[str, list[Any]]]
    parts: int  # if there are more than one, in `live_parts`
    unwritable: str  # why there are no cells: MongoDB takes no document with them


class LivePartDocument(TypedDict):
    """A further part of a live document."""

    _id: str
    version: int
    part: int  # from 1
    cells: dict[str, list[Any]]


COLLECTION: Final = Collection("live", 2, LiveDocument, "the version", "land, aggregate")
PARTS: Final = Collection("live_parts", 1, LivePartDocument, "version and part: `481/1`", "land, aggregate")
