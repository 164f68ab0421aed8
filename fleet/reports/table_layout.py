"""The layout of the lake's tables: a property of a table, which an older version refuses if it does not know it.

Like a sealed day (fleet.reports.sealed), raising it changes the table's metadata, so Delta refuses every commit of an
older process that was begun before, and its next look at the table says why. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fleet.layout import FIRST, refuse_newer

LAYOUT_KEY: Final = "peacewatch.layout"
"""In the table's configuration. A table without it has layout 1."""

LAYOUT: Final = 1
"""Raise it, and have the writer set it, when an older version could misread a table or write it wrongly. New columns
need no new layout: older versions leave them alone."""


def require_known(configuration: Mapping[str, str | None], table: str) -> None:
    """Raises NewerLayout if the table `table` has another layout than those that this version knows."""
    refuse_newer(f"the lake's table {table}", configuration.get(LAYOUT_KEY) or FIRST, LAYOUT)
