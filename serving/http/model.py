"""The base of all models of the API: their JSON schema is made once.

flask-openapi3 asks for it at each request that has a query (flask_openapi3/request.py), and several times an operation
when the application is made: 0.4 to 1.5 ms of processor time each, two thirds of an application.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from pydantic import BaseModel


class Model(BaseModel):
    """A model whose schema does not change once it was asked for."""

    @classmethod
    def model_json_schema(cls, *arguments: Any, **named: Any) -> dict[str, Any]:
        """The caller's own: flask-openapi3 takes parts out of it."""
        schema: dict[str, Any] = msgspec.json.decode(_schema(cls, arguments, tuple(sorted(named.items()))))
        return schema


@cache
def _schema(model: type[Model], arguments: tuple[Any, ...], named: tuple[tuple[str, Any], ...]) -> bytes:
    return msgspec.json.encode(super(Model, model).model_json_schema(*arguments, **dict(named)))
