"""The forms in which a UTC day is rolled up: a statistic reads the one that has the keys it needs. Pure.

Forms by country are divided into parts: a reader of one country reads an eighth of its days.
"""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

BLOCKS: Final = 8
"""Parts of a divided form. Each has the cells of some countries."""


class DayForm(NamedTuple):
    """A form, or part `block` of a divided one. `keys`: those of fleet.figures.cube.HOURS that are not summed over."""

    name: str
    keys: tuple[str, ...]
    block: int | None = None

    @property
    def path(self) -> str:
        """Its field in a document of MongoDB, `countries_by_hour.3`."""
        return self.name if self.block is None else f"{self.name}.{self.block}"

    def has(self, country: str) -> bool:
        """Whether it has the cells of `country`."""
        return self.block in (None, _block_of(country))


def _divided(name: str, keys: tuple[str, ...]) -> tuple[DayForm, ...]:
    return tuple(DayForm(name, keys, block) for block in range(BLOCKS))


BY_HOUR: Final = DayForm("by_hour", ("event_hour",))
BY_COUNTRY: Final = DayForm("by_country", ("country",))
BY_SCORE: Final = DayForm("by_score", ("worst_score",))
COUNTRIES_BY_HOUR: Final = _divided("countries_by_hour", ("event_hour", "country"))
COUNTRIES_BY_SCORE: Final = _divided("countries_by_score", ("country", "worst_score"))

WHOLE_FORMS: Final = (BY_HOUR, BY_COUNTRY, BY_SCORE)
DAY_FORMS: Final = (*WHOLE_FORMS, *COUNTRIES_BY_HOUR, *COUNTRIES_BY_SCORE)


def part_of(parts: tuple[DayForm, ...], country: str) -> DayForm:
    """The one of a divided form's parts that has the cells of `country`."""
    return parts[_block_of(country)]


def _block_of(country: str) -> int:
    return zlib.crc32(country.encode()) % BLOCKS  # the same in every process
