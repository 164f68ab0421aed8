"""The collections with a document a UTC day of a batch-only view. Their cells are of the cube with the same name."""

from __future__ import annotations

from typing import Any, Final, Required, TypedDict

from infra.mongo.collection import Collection

_DAY: Final = "the UTC day: `2026-11-24`"


class DayDocument(TypedDict, total=False):
    """A day of a view."""

    _id: Required[str]
    version: Required[int]  # of the table that it was computed at
    cells: Required[dict[str, list[Any]]]
    parts: int  # if there are more than one: infra.mongo.view_parts
    folded: dict[str, int]  # `names` counted as one, and what is `counted` of them


class DuplicatesDocument(TypedDict, total=False):
    """How many reports of a day the lake holds with the identity of another."""

    _id: Required[str]
    version: Required[int]
    copies: Required[int]  # that say the same: duplicates
    conflicts: int  # that say something else; not there in documents of before they were counted
    by_hour: list[list[int]]  # event hour, duplicates, conflicts: of the hours that have any, in order


class SealedDocument(TypedDict):
    """A day whose reports have left the lake: the marks of all others are made from it."""

    _id: str
    version: int


CITY_DAYS: Final = Collection("city_days", 2, DayDocument, _DAY, "aggregate")
PLACE_DAYS: Final = Collection("place_days", 2, DayDocument, _DAY, "aggregate")
DELAY_DAYS: Final = Collection("delay_days", 1, DayDocument, _DAY, "aggregate")
ALERT_DAYS: Final = Collection("alert_days", 2, DayDocument, _DAY, "aggregate")
DRONES_BY_DAY: Final = Collection("drones_by_day", 2, DayDocument, _DAY, "aggregate")
DUPLICATES: Final = Collection("copies", 1, DuplicatesDocument, _DAY, "aggregate")
SEALED: Final = Collection("sealed", 1, SealedDocument, _DAY, "aggregate, seal")
