"""The REST API, one file a resource, each with a function that makes its blueprint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from serving.http.problems import MIME, Problem

PREFIX: Final = "/api/v1"

SECURITY: Final[list[dict[str, list[Any]]]] = [{"token": []}]
"""Needed where tokens are set; another setting opens figures without one (serving/http/gate.py)."""

EXAMPLES: Final[dict[str, Any]] = json.loads((Path(__file__).parent / "examples.json").read_text(encoding="utf-8"))
"""An example answer by the name of its model; long lists are cut."""

_WHAT: Final = {
    400: "The request is malformed.",
    401: "A token is needed.",
    403: "The token's role does not allow it.",
    404: "It does not exist.",
    409: "It is not in a state that allows this.",
    422: "A field is wrong: which, and why.",
    429: "Too many requests; Retry-After says when to come back.",
    503: "A service does not answer now; Retry-After says when to come back.",
}


def answers(model: type[BaseModel] | None, *statuses: int) -> dict[str | int, Any]:
    """The documented answers of an operation: `model`, the given errors, and those of every operation."""
    content = {MIME: {"schema": Problem.model_json_schema(ref_template="#/components/schemas/{model}")}}
    errors: dict[str | int, Any] = {
        status: {"description": _WHAT[status], "content": content} for status in sorted({*statuses, 401, 422, 429, 503})
    }
    return {**({200: with_example(model)} if model else {}), **errors}


def with_example(model: type[BaseModel]) -> type[BaseModel]:
    """`model` with its example in the model's configuration, where flask-openapi3 looks for it."""
    config: dict[str, Any] = model.model_config  # type: ignore[assignment]
    config["openapi_extra"] = {**config.get("openapi_extra", {}), "example": EXAMPLES[model.__name__]}
    return model
