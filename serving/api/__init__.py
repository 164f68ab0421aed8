"""The REST API, one file a resource. Each makes its blueprint from the services that it is given."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from serving.problems import MIME, Problem

PREFIX: Final = "/api/v1"

_WHAT: Final = {
    400: "The request is malformed.",
    401: "A token is needed.",
    403: "The token's role does not allow it.",
    404: "There is no such thing.",
    409: "It is not in a state that allows this.",
    422: "A field is wrong: which, and why.",
    429: "Too many requests; Retry-After says when to come back.",
    503: "A service does not answer now; Retry-After says when to come back.",
}


def answers(model: type[BaseModel] | None, *statuses: int) -> dict[str | int, Any]:
    """The documented answers of an operation: `model`, the errors given, and those that every operation may have."""
    content = {MIME: {"schema": Problem.model_json_schema(ref_template="#/components/schemas/{model}")}}
    errors: dict[str | int, Any] = {
        status: {"description": _WHAT[status], "content": content} for status in (*statuses, 422, 429, 503)
    }
    return {**({200: model} if model else {}), **errors}
