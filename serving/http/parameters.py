"""Parameters that would be ignored are refused: of two countries one would be counted, and nobody would see which.

Those that an operation has are checked by its model (serving.api.models.Query). Here are those that are given twice,
and all of an operation without any.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Final

from flask import Flask, request

from fleet.errors import BadInput

API: Final = "/api/"
LONGEST_NAME: Final = 40
"""Characters of a parameter's name that an error repeats: the name may be any text."""


def register(app: Flask) -> None:
    """Makes `app` refuse such requests."""

    @cache
    def has_parameters(endpoint: str) -> bool:
        return "query" in inspect.signature(app.view_functions[endpoint]).parameters

    @app.before_request
    def refuse_ignored() -> None:
        for name, values in request.args.lists():
            if len(values) > 1:
                raise BadInput(name[:LONGEST_NAME], f"it is given {len(values)} times; give it once")
            if request.endpoint and request.path.startswith(API) and not has_parameters(request.endpoint):
                raise BadInput(name[:LONGEST_NAME], "there is no such parameter")
