"""Layouts: what is stored says which form it has, so that an older version refuses what it would misread. Pure.

A layout is a number. What has none is of the first layout, so the number is written only once it has been raised.
"""

from __future__ import annotations

from typing import Final

from fleet.errors import NewerLayout

FIRST: Final = 1
LARGEST: Final = 1_000_000
"""A larger number in a message is no layout, and the message invalid."""


def refuse_newer(what: str, layout: int | str, known: int) -> None:
    """Raises NewerLayout, which names `what`, if `layout` is above `known`; as text, also if it is no number."""
    is_number = isinstance(layout, int) or (layout.isascii() and layout.isdigit())
    if not is_number or int(layout) > known:
        raise NewerLayout(f"{what} has layout {layout} and this version of Peacewatch knows {known}: upgrade it")


def found_at(place: str, error: NewerLayout) -> NewerLayout:
    """`error` with `place`, where a person finds what has the layout."""
    return NewerLayout(f"{place}: {error}")
