"""Cells of a cube as documents hold them: their size as BSON, and their parts if one document cannot hold them all."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DOCUMENT_BYTES: Final = 8 * 1024 * 1024
"""What cells may take in a document, as BSON: half of MongoDB's limit of 16 MiB, so that the rest of it fits."""

_ELEMENT: Final = 9
"""Of an item of a list: its type, its index of at most seven digits as a text, and that text's end (bsonspec.org)."""

_NUMBER: Final = _ELEMENT + 8
_TEXT: Final = _ELEMENT + 5
"""And a text's length and end; its UTF-8 bytes come on top."""


def encoded_size(cells: pa.Table) -> int:
    """An upper bound of the bytes of the cells in a document, as BSON."""
    return int(row_sizes(cells).sum()) if cells.num_rows else 0


def divide(cells: pa.Table, most: int = DOCUMENT_BYTES) -> list[pa.Table]:
    """The cells in order, in parts of at most `most` bytes each; one part at least, and a larger cell is alone."""
    parts, start = [], 0
    ends = np.cumsum(row_sizes(cells))
    while start < cells.num_rows:
        before = ends[start - 1] if start else 0
        end = max(int(np.searchsorted(ends, before + most, side="right")), start + 1)
        parts.append(cells.slice(start, end - start))
        start = end
    return parts or [cells]


def row_sizes(cells: pa.Table) -> Any:
    """An upper bound of each cell's bytes as BSON: (cells,)."""
    sizes = np.zeros(cells.num_rows, dtype="int64")
    for column in cells.columns:
        if pa.types.is_string(column.type):
            sizes += _TEXT + pc.binary_length(column).to_numpy()
        else:
            sizes += _NUMBER
    return sizes
