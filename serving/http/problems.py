"""Every error as `application/problem+json` (RFC 9457): what is wrong, in which field, and no stack trace. A browser
that asks for a page gets it as a page.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping, Sequence
from typing import Any, Final

import structlog
from flask import Flask, Response, has_request_context, render_template, request
from pydantic import Field, ValidationError
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException

from fleet.errors import BadInput, ServiceUnavailable
from serving.http.model import Model

MIME: Final = "application/problem+json"
RETRY_SECONDS: Final = 5
"""`Retry-After` while MongoDB is away; a restart of it takes about that long."""

FORMS: Final[MutableMapping[str, str]] = {}
"""By a regular expression that a field must match: the sentence that people read instead."""

_log = structlog.get_logger()


class FieldProblem(Model):
    """One field that is wrong."""

    field: str = Field(examples=["from"])
    reason: str = Field(examples=["there is no such day: 2026-02-30"])


class Problem(Model):
    """An error, after RFC 9457."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["from: there is no such day: 2026-02-30"])
    errors: list[FieldProblem] = Field(default_factory=list, description="the fields that are wrong, where some are")


def answer(
    status: int, title: str, detail: str, errors: Sequence[FieldProblem] = (), retry_after: float | None = None
) -> Response:
    """A response with a problem."""
    problem = Problem(type="about:blank", title=title, status=status, detail=detail, errors=list(errors))
    if _wants_a_page():
        response = Response(render_template("problem.html", problem=problem), status)
    else:
        response = Response(json.dumps(problem.model_dump()), status, mimetype=MIME)
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    if retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(retry_after)))
    return response


def of_validation(error: ValidationError) -> Response:
    """422 for a request that does not fit its schema."""
    errors = [
        FieldProblem(field=".".join(str(part) for part in field_error["loc"]) or "body", reason=_reason(field_error))
        for field_error in error.errors(include_url=False, include_input=False)
    ]
    return _unprocessable(errors)


def of_bad_input(error: BadInput) -> Response:
    """422 for a request that fits its schema, but has a wrong value."""
    return _unprocessable([FieldProblem(field=error.field, reason=error.reason)])


def of_mongo(error: PyMongoError) -> Response:
    """503: MongoDB does not answer. Its error goes to the log, since it may name hosts."""
    _log.warning("MongoDB does not answer", error=error)
    return answer(503, "Service Unavailable", "the database does not answer now", retry_after=RETRY_SECONDS)


def of_service(error: ServiceUnavailable) -> Response:
    _log.warning("service does not answer", error=error)
    return answer(503, "Service Unavailable", str(error), retry_after=error.retry_after or RETRY_SECONDS)


def of_http(error: HTTPException) -> Response:
    """Refusals of Flask and Werkzeug (404, 405, 413, 429 and others), with their headers."""
    if error.response is not None and isinstance(error.response, Response):
        return error.response
    response = answer(error.code or 500, error.name, (error.description or error.name).splitlines()[0])
    kept = ("Allow", "Retry-After", "WWW-Authenticate")
    response.headers.extend((name, value) for name, value in error.get_headers() if name in kept)
    return response


def of_anything(error: Exception) -> Response:
    """500 for an unforeseen error: the log has its details, the client only the status."""
    _log.error("a request failed", error=error, exc_info=error)
    return answer(500, "Internal Server Error", "the server failed; its log says why")


def of_any_known(error: HTTPException | ServiceUnavailable | PyMongoError) -> Response:
    """An error of a check before the application."""
    if isinstance(error, PyMongoError):
        return of_mongo(error)
    return of_service(error) if isinstance(error, ServiceUnavailable) else of_http(error)


def register(app: Flask) -> None:
    """Makes every error of `app` a problem."""
    app.register_error_handler(BadInput, of_bad_input)
    app.register_error_handler(PyMongoError, of_mongo)
    app.register_error_handler(ServiceUnavailable, of_service)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(Exception, of_anything)


def _wants_a_page() -> bool:
    """Whether a browser asks for a page, not for the API."""
    if not has_request_context() or request.path.startswith("/api/"):
        return False
    return request.accept_mimetypes.best_match([MIME, "application/json", "text/html"]) == "text/html"


def _unprocessable(errors: Sequence[FieldProblem]) -> Response:
    detail = "; ".join(f"{problem.field}: {problem.reason}" for problem in errors)
    return answer(422, "Unprocessable Content", detail, errors)


_MOMENT: Final = "give a moment with its offset from UTC, such as 2026-11-24T08:00:00Z or 2026-11-24T09:00:00+01:00"
_DAY: Final = "give a day, such as 2026-11-24"
_OBJECT: Final = "give a JSON object, as application/json"
_REASONS: Final = {
    "extra_forbidden": "there is no such parameter",
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), _OBJECT),
    **dict.fromkeys(("timezone_aware", "datetime_parsing", "datetime_object_invalid"), _MOMENT),
    "datetime_from_date_parsing": _MOMENT,
    **dict.fromkeys(("date_from_datetime_parsing", "date_parsing", "date_from_datetime_inexact"), _DAY),
}
"""By pydantic's type of an error: the sentence for people."""


def _reason(error: Any) -> str:
    if error["type"] in _REASONS:
        return _REASONS[error["type"]]
    if error["type"] == "string_pattern_mismatch":
        return FORMS.get(error["ctx"]["pattern"], "this is not in the form that docs/api.md names")
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    text: str = error["msg"]
    return text[:1].lower() + text[1:]
