"""A request's parameters are given once: of two countries one would be counted, and nobody would see which."""

from __future__ import annotations

from typing import Final

from flask import Flask, request

from fleet.errors import BadInput

LONGEST_NAME: Final = 40
"""Characters of a parameter's name that an error repeats: the name may be any text."""


def register(app: Flask) -> None:
    """Makes `app` refuse a request that gives a parameter more than once."""

    @app.before_request
    def refuse_repeated() -> None:
        for name, values in request.args.lists():
            if len(values) > 1:
                raise BadInput(name[:LONGEST_NAME], f"it is given {len(values)} times; give it once")
