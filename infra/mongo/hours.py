"""The collection `hours`: the cells of an event hour at a version of the lake; live documents are added to them."""

from __future__ import annotations

from typing import Any, Final, Required, TypedDict

from pymongo import ASCENDING

from infra.mongo.client import Documents, build_index
from infra.mongo.collection import Collection


class HourDocument(TypedDict, total=False):
    """An hour. `cells` are of fleet.figures.cube.HOURS, one list a column."""

    _id: Required[str]
    event_hour: Required[int]  # hours since 1970
    version: Required[int]  # of the lake that it was computed at
    cells: Required[dict[str, list[Any]]]
    parts: int  # if there are more than one: infra.mongo.view_parts
    folded: dict[str, int]  # `names` counted as one, and the reports `counted` of them
    run: dict[str, str]  # `id` of the run that wrote it


COLLECTION: Final = Collection("hours", 2, HourDocument, "the hour: `2026-11-24T08`", "aggregate")


def ensure_indexes(database: Documents) -> None:
    """Creates the indexes that readers need, if they are missing."""
    build_index(database.hours, ("event_hour", ASCENDING))
    build_index(database.hours, ("version", ASCENDING), ("event_hour", ASCENDING))
