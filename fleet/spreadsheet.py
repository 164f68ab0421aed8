"""CSV as spreadsheets write it: a byte-order mark, semicolons, a decimal comma, rows of separators alone. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

Row = list[str]

LONGEST_CELL: Final = 1_048_576
"""Characters. A Kafka message of the usual limit (1 MiB) holds no longer text; Python's own default is an eighth."""

SEPARATORS: Final = ",;\t"
_SAYS_ITS_SEPARATOR: Final = re.compile(r"sep=(.)\s*", re.I)
_BOM: Final = "\ufeff"


class Spreadsheet:
    """The rows of a CSV text whose first row has the names in `header`.

    The separator is the one that the header's names are parted by, or that a first line `sep=;` names. `lines` keep
    their line ends. Rows without any text are left out; empty cells past the header's are cut off.
    """

    def __init__(self, lines: Iterable[str], header: Iterable[str]) -> None:
        self._width = len(list(header))
        self._skipped = 0
        source = iter(lines)
        first = next(source, "").removeprefix(_BOM)
        if said := _SAYS_ITS_SEPARATOR.fullmatch(first):
            self._skipped, first = 1, next(source, "")
            self.separator = said[1]
        else:
            while not first.strip() and (following := next(source, None)) is not None:
                self._skipped, first = self._skipped + 1, following
            self.separator = max(SEPARATORS, key=first.count)  # the first of equals: a comma if there is none
        self._lines = chain([first], source)

    def __iter__(self) -> Iterator[tuple[int, Row | csv.Error]]:
        """(the line it starts at, from 1; its cells or what is broken) of each row, the header's first.

        A row after a broken one is read again from the next line.
        """
        csv.field_size_limit(LONGEST_CELL)
        reader = csv.reader(self._lines, delimiter=self.separator, strict=True)
        while True:
            line = self._skipped + reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, error
                continue
            if any(cell.strip() for cell in row):
                yield line, self._cut(row)

    def number(self, cell: str) -> str:
        """A number's cell with a decimal point: where semicolons part cells, a comma may be the decimal one."""
        return cell if self.separator == "," else cell.replace(",", ".", 1)

    def _cut(self, row: Row) -> Row:
        while len(row) > self._width and not row[-1].strip():
            row.pop()
        return row
