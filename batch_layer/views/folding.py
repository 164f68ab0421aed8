"""Folds the names that a view has no room for: they are counted together as OTHER, so no sender can fill a document.

Countries and cities are text from drones: a sender of 20,000 names in an hour would make its document too large for
MongoDB, and for its readers. Past `VIEW_BYTES` the names with the fewest reports become OTHER. All sums stay the same,
and how many names were folded is in the document, in the day's completeness and in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleet.figures.cube import Cube
from infra import cities
from infra.mongo.cells import DOCUMENT_BYTES, encoded_size, row_sizes

OTHER: Final = "other"
"""The name under which folded names are counted."""

VIEW_BYTES: Final = 4 * DOCUMENT_BYTES
"""What the cells of an hour or a day may take, as BSON. All cities of the world over 15,000 people take a seventh of
it, and all countries with all scores of an hour a hundredth."""

WORDS: Final = ("country", "city")
"""The keys of cubes that are text of drones."""

Names = Set[tuple[str, ...]]


@dataclass(frozen=True)
class FoldedNames:
    """`names` of countries or cities were folded, with `counted` reports (of alert_days: alerts; of counts: drones)."""

    names: int
    counted: int


def known(words: tuple[str, ...]) -> Names:
    """The names that are on a list: they are folded after all others, however few reports they have."""
    return _known(len(words))


@cache
def _known(words: int) -> Names:
    return frozenset((city.country, city.name)[:words] for city in cities.cities())


def fold(
    cube: Cube, cells: pa.Table, most: int = VIEW_BYTES, listed: Callable[[tuple[str, ...]], Names] = known
) -> tuple[pa.Table, FoldedNames | None]:
    """The cells in at most `most` bytes; None if all of them fit as they are."""
    words = tuple(name for name in cube.key_names if name in WORDS)
    if not words or encoded_size(cells) <= most:
        return cells, None
    room = most - encoded_size(_renamed(cube, cells, words, np.ones(cells.num_rows, bool)))
    name_of_row, names = _names(cells, words)
    counts = np.bincount(name_of_row, weights=cells[cube.measures[0].name].to_numpy())
    sizes = np.bincount(name_of_row, weights=row_sizes(cells))
    on_a_list = listed(words)
    order = sorted(range(len(names)), key=lambda at: (names[at] not in on_a_list, -counts[at], names[at]))
    ends = np.cumsum(sizes[order])
    folded = np.zeros(len(names), bool)
    folded[order[int(np.searchsorted(ends, room, side="right")) :]] = True
    return (
        _renamed(cube, cells, words, folded[name_of_row]),
        FoldedNames(int(folded.sum()), int(counts[folded].sum())),
    )


def _names(cells: pa.Table, words: tuple[str, ...]) -> tuple[Any, list[tuple[str, ...]]]:
    """The number of each cell's name (cells,), and the names by number."""
    columns = [cells[word].combine_chunks().dictionary_encode() for word in words]
    codes = np.zeros(cells.num_rows, np.int64)
    for column in columns:
        codes = codes * max(1, len(column.dictionary)) + column.indices.to_numpy()
    _, first, name_of_row = np.unique(codes, return_index=True, return_inverse=True)
    texts = [column.take(pa.array(first)).cast(pa.string()).to_pylist() for column in columns]
    return name_of_row, list(zip(*texts, strict=True))


def _renamed(cube: Cube, cells: pa.Table, words: tuple[str, ...], chosen: Any) -> pa.Table:
    """The cells with all `words` of those `chosen` (a bool each) as OTHER."""
    mask = pa.array(chosen)
    for word in words:
        at = cells.schema.get_field_index(word)
        values = pc.if_else(mask, OTHER, cells[word])
        cells = cells.set_column(at, cells.schema.field(word), values)
    return cube.merge([cells])
