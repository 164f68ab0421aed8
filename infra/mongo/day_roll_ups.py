"""The collection `day_roll_ups`: a UTC day's hour documents summed in a few forms; a year is some hundred documents.

A roll-up is true for the hour documents that it names (`hours`, `versions`), whatever has been stored since. A reader
adds the live documents after those versions to it, hour by hour, as to an hour document (decision 5). Live documents up
to the base no longer count; so before a run becomes the base, it rebuilds the roll-ups whose hour documents have
changed (`stale_days`, `rebuild`). A rebuild is one transaction: of two at once, the later one has seen what the other
did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Required, TypedDict

from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from fleet.figures.day_form import DAY_FORMS, DayForm
from infra.mongo import view_parts
from infra.mongo.client import Documents, build_index
from infra.mongo.collection import Collection

if TYPE_CHECKING:
    import pyarrow as pa

NAME: Final = "day_roll_ups"

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of all forms of a day, as `infra.mongo.cells.DOCUMENT_BYTES`. A larger one is not stored: readers use the
hours. 200 countries need 0.1 MB."""


class RollUpDocument(TypedDict, total=False):
    """A day; the forms are Arrow streams of cells of fleet.figures.cube.HOURS."""

    _id: Required[str]
    day: Required[int]  # days since 1970
    sources: Required[str]  # a hash of the hour documents that are summed, and of the forms
    hours: Required[list[int]]  # event hours
    versions: Required[list[int]]  # of the lake, by hour
    by_hour: bytes
    by_country: bytes
    by_score: bytes
    countries_by_hour: dict[str, bytes]  # by DayForm.block
    countries_by_score: dict[str, bytes]


COLLECTION: Final = Collection(NAME, 1, RollUpDocument, "the UTC day: `2026-11-24`", "aggregate")

_SOURCE: Final = {"_id": False, "event_hour": True, "version": True, "run.id": True}
"""Of an hour document; an index covers it, for the documents are large."""


def ensure_indexes(database: Documents) -> None:
    """The indexes that a run compares by, and readers find days by."""
    build_index(database.hours, ("event_hour", ASCENDING), ("version", ASCENDING), ("run.id", ASCENDING))
    build_index(database[NAME], ("day", ASCENDING), ("sources", ASCENDING))


def stale_days(database: Documents) -> list[int]:
    """The days (since 1970) whose roll-up is not of the hour documents that are stored, in order."""
    ensure_indexes(database)
    sources: dict[int, list[str]] = {}
    order = [("event_hour", ASCENDING), ("version", ASCENDING), ("run.id", ASCENDING)]
    for hour in database.hours.find({}, _SOURCE).sort(order).hint(order):
        sources.setdefault(hour["event_hour"] // 24, []).append(_source(hour))
    wanted = {day: _hash(each) for day, each in sources.items()}
    stored = {each["day"]: each["sources"] for each in database[NAME].find({}, {"_id": False, "day": 1, "sources": 1})}
    return sorted(day for day in wanted.keys() | stored.keys() if wanted.get(day) != stored.get(day))


def rebuild(database: Documents, day: int, largest: int = LARGEST) -> bool:
    """Sums the hour documents of `day` (since 1970), as they are stored; False if the day is too large to store."""
    # The alerts' role looks at layouts, and has no Arrow.
    from fleet.figures.cube import HOURS  # noqa: PLC0415
    from fleet.figures.roll_up import in_form  # noqa: PLC0415
    from infra.mongo.packed import pack  # noqa: PLC0415

    def commit(session: ClientSession) -> bool:
        those = {"event_hour": {"$gte": day * 24, "$lt": day * 24 + 24}}
        found = database.hours.find(those, session=session).sort("event_hour")
        hours = list(view_parts.whole(database, "hours", found, session))
        cells = HOURS.merge(HOURS.from_document(hour["cells"]) for hour in hours)
        forms = {form: pack(in_form(cells, form)) for form in DAY_FORMS}
        name = {"_id": _name(day)}
        if sum(map(len, forms.values())) > largest:
            # Its mark stays, so that the next run does not read the hours again.
            forms = {}
        elif not hours:
            database[NAME].delete_one(name, session=session)
            return True
        document = {
            **name,
            "day": day,
            "sources": _hash(_source(hour) for hour in hours),
            "hours": [hour["event_hour"] for hour in hours],
            "versions": [hour["version"] for hour in hours],
            **nested(forms),
        }
        database[NAME].replace_one(name, document, upsert=True, session=session)
        return bool(forms)

    with database.client.start_session() as session:
        return session.with_transaction(commit)


class RollUp(NamedTuple):
    """One form of a stored day."""

    day: int  # since 1970
    versions: Mapping[int, int]  # of the lake, by event hour: which hour documents are summed
    cells: pa.Table  # of fleet.figures.cube.HOURS


def of_days(database: Documents, days: Iterable[int], form: DayForm, session: ClientSession) -> list[RollUp]:
    """The roll-ups of `days` (since 1970) that are stored, in one form; the others are not read."""
    from infra.mongo.packed import unpack  # noqa: PLC0415 - as in `rebuild`

    chosen = set(days)
    if not chosen:
        return []
    between = {"day": {"$gte": min(chosen), "$lte": max(chosen)}, form.path: {"$exists": True}}
    fields = {"_id": False, "day": True, "hours": True, "versions": True, form.path: True}
    stored = database[NAME].find(between, fields, session=session, batch_size=_READ_AT_ONCE)
    return [
        RollUp(each["day"], dict(zip(each["hours"], each["versions"], strict=True)), unpack(_field(each, form)))
        for each in stored
        if each["day"] in chosen
    ]


_READ_AT_ONCE: Final = 100
"""The largest form, or part of one, is some 10 KB of 200 countries."""


def nested(forms: Mapping[DayForm, bytes]) -> dict[str, Any]:
    """The fields of a document: the parts of a divided form are the fields of one."""
    fields: dict[str, Any] = {}
    for form, content in forms.items():
        if form.block is None:
            fields[form.name] = content
        else:
            fields.setdefault(form.name, {})[str(form.block)] = content
    return fields


def _field(document: Mapping[str, Any], form: DayForm) -> bytes:
    content: bytes = document[form.name] if form.block is None else document[form.name][str(form.block)]
    return content


_FORMS: Final = "forms 2"
"""Is hashed with the hour documents, so that a run rebuilds roll-ups that another version stored in other forms."""


def _source(hour: Mapping[str, Any]) -> str:
    return f"{hour['event_hour']} {hour['version']} {hour.get('run', {}).get('id', '')}"


def _hash(sources: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join([_FORMS, *sources]).encode(), digest_size=16).hexdigest()


def _name(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
