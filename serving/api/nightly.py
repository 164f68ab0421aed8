"""Nightly reports: the list, and one as HTML, PDF, picture or JSON."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from werkzeug.exceptions import NotFound

from serving.api import PREFIX, SECURITY, answers
from serving.api.models import Query
from serving.api.times import Day
from serving.http.caching import tagged
from serving.http.model import Model
from serving.report.reader import Shelf
from serving.report.store import FORMS
from serving.services import Services

Document = dict[str, Any]
Form = Literal["html", "pdf", "png", "json"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox allow-popups"
"""A report is one file with its styles inside, and no script."""


class Headline(Model):
    value: float | None
    day_before: float | None


class NightlyRow(Model):
    """The newest revision of a day's report."""

    day: date
    revision: int = Field(description="0: the first")
    state: str = Field(description="complete, incomplete or empty")
    reports: Headline
    alerts: Headline
    peace_score: Headline
    battery: Headline
    low_drones: Headline
    incidents: int


class Nightly(Model):
    """Reports, newest day first."""

    reports: list[NightlyRow]
    next: date | None = Field(description="`before` of the next page; null: this is the last")


class NightlyQuery(Query):
    before: Day | None = Field(None, description="only days before this one")
    limit: int = Field(31, ge=1, le=100)


class RevisionQuery(Query):
    revision: int | None = Field(None, ge=0, le=100_000, description="the default is the newest")


class FormPath(Model):
    day: Day
    form: Form


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/nightly-reports`."""
    api = APIBlueprint(
        "nightly", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="nightly reports")], abp_security=SECURITY
    )
    shelf = Shelf(services.config.lake)
    documented = answers(None, 404)
    documented[200] = {"description": "The report.", "content": {kind: {} for kind in FORMS.values()}}

    @api.get("/nightly-reports", summary="Nightly reports, newest first", responses=answers(Nightly))
    def nightly(query: NightlyQuery) -> Document:
        rows, following = shelf.page(query.before, query.limit)
        return {"reports": rows, "next": following}

    @api.get("/nightly-reports/<day>/<form>", summary="One nightly report", responses=documented)
    def report_form(path: FormPath, query: RevisionQuery) -> Response:
        revision = shelf.find(path.day, query.revision)
        if revision is None:
            raise NotFound("there is no such report")
        response = Response(shelf.read(revision, path.form), content_type=FORMS[path.form])
        response.headers["Content-Disposition"] = f'inline; filename="peacewatch-{revision.day}.{path.form}"'
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        response.headers["X-Peacewatch-Revision"] = str(revision.number)
        # A newer revision may come, and after a new start with an empty lake the same revision may differ.
        return tagged(response, "private, no-cache")

    return api
