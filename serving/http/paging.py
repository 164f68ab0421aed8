"""Pages by cursor: it says where the last page ended, so new rows do not shift the next page."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.collection import Collection

from fleet.errors import BadInput

Document = dict[str, Any]

MAX_PAGE: Final = 500
CURSOR: Final = r"^[A-Za-z0-9_-]{1,3400}$"
"""An alert's id has the ids of a drone and a report, 200 characters each; JSON may need six bytes a character."""


def page(
    collection: Collection[Document], wanted: Mapping[str, Any], by: str, limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    """(documents, cursor of the next page or None): newest first by the time `by`, then by `_id` downwards. Raises
    BadInput for an invalid cursor.
    """
    conditions: list[Mapping[str, Any]] = [wanted, {by: {"$type": "date"}}]
    if cursor:
        at, last = decode(cursor)
        conditions.append({"$or": [{by: {"$lt": at}}, {by: at, "_id": {"$lt": last}}]})
    documents = list(collection.find({"$and": conditions}).sort([(by, -1), ("_id", -1)]).limit(limit + 1))
    return documents[:limit], encode(documents[limit - 1], by) if len(documents) > limit else None


def encode(document: Document, by: str) -> str:
    """The cursor of a page that ends with `document`."""
    place = [round(document[by].timestamp() * 1000), document["_id"]]
    return base64.urlsafe_b64encode(json.dumps(place, ensure_ascii=False).encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[datetime, str]:
    """Raises BadInput for anything that `encode` does not make."""
    try:
        place: Sequence[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        milliseconds, last = place
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        str(last).encode()  # raises for half of a surrogate pair
    except (ValueError, TypeError, OverflowError, OSError, RecursionError, binascii.Error):
        at, last = None, None
    if at is None or not isinstance(last, str):
        raise BadInput("cursor", "this is not a cursor; take `next` of the previous page")
    return at, last
