"""`/reports`, the nightly reports, and `/reports/2026-11-24`, one of them."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.exceptions import NotFound

from serving.http import headers
from serving.report import figures
from serving.report.reader import Shelf
from serving.services import Services

LISTED = 31


def blueprint(services: Services) -> Blueprint:
    """The list and the reports, rendered here: they need no script."""
    pages = Blueprint("nightly_pages", __name__)
    shelf = Shelf(services.config.lake)

    @pages.app_template_filter()
    def long_day(day: date | str) -> str:
        return figures.long_day(date.fromisoformat(day) if isinstance(day, str) else day)

    @pages.get("/reports")
    def nightly_reports() -> str:
        rows, following = shelf.page(_day(request.args.get("before")), LISTED)
        return render_template("reports.html", rows=rows, following=following, change=figures.change)

    @pages.get("/reports/<day>")
    def nightly_report(day: str) -> Response:
        wanted = _day(day)
        revision = shelf.find(wanted) if wanted else None
        if revision is None:
            raise NotFound("there is no report of this day")
        earlier, later = shelf.around(revision.day)
        response = make_response(render_template("report_day.html", revision=revision, earlier=earlier, later=later))
        response.headers["Content-Security-Policy"] = f"{headers.POLICY}; frame-src 'self'"
        return response

    return pages


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise NotFound("there is no such day") from None
