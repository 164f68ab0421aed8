"""Items divided so that no part is too large. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def bins(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """The items in order, in bins of at most `most` bytes by `size`; a larger item has a bin of its own."""
    bin_: list[T] = []
    filled = 0
    for item in items:
        item_size = size(item)
        if bin_ and filled + item_size > most:
            yield bin_
            bin_, filled = [], 0
        bin_.append(item)
        filled += item_size
    if bin_:
        yield bin_
