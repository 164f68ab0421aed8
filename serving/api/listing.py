"""Paged lists, newest first: what alerts and incidents have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response
from pydantic import Field

from serving.api.models import Query
from serving.api.times import Moment, between
from serving.http.model import Model
from serving.http.paging import CURSOR, MAX_PAGE, page
from serving.http.tables import TABLE, Format, table
from serving.services import Services

Document = dict[str, Any]


class Listing(Model):
    """A page of a list."""

    model_config = TABLE

    next: str | None = Field(description="cursor of the next page; null: this is the last")
    version: int = Field(description="newest version of the lake; the list may have newer rows")
    as_of: datetime | None


class ListingQuery(Query):
    """Which part of a list."""

    since: Moment | None = Field(
        None, description="at this time or later", json_schema_extra={"example": "2026-11-24T00:00:00Z"}
    )
    until: Moment | None = Field(None, description="before this time")
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, pattern=CURSOR, description="`next` of the previous page")
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


@dataclass(frozen=True)
class Kept:
    """Where a list is stored: newest first by the time `by`; `fields` are the stored names of the query's filters."""

    collection: str
    by: str
    fields: Mapping[str, str]
    row: Callable[[Document], Document]


def list_of(services: Services, kept: Kept, query: ListingQuery, also: Mapping[str, Any] | None = None) -> Response:
    """The page that `query` asks for, of documents that also match the condition `also`."""
    filters = {to: value for name, to in kept.fields.items() if (value := getattr(query, name)) is not None}
    wanted = filters | dict(also or {}) | between(kept.by, query.since, query.until)
    documents, following = page(services.database[kept.collection], wanted, kept.by, query.limit, query.cursor)
    served = services.merge.served()
    rows = [kept.row(document) for document in documents]
    answer = {kept.collection: rows, "next": following, "version": served.version, "as_of": served.as_of}
    return table(answer, rows, query.format)
