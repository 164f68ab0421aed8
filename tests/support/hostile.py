"""What hostile drones send, small enough for a test and just past what one document of MongoDB holds."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fleet.figures.drone_blocks import BLOCKS
from tests.support import lakes

LETTERS = 200
"""The longest name that a report takes."""


def long_names(count: int, seed: int = 0) -> list[str]:
    """So many different names of LETTERS letters and 800 bytes, which hardly compress."""
    choose = random.Random(seed)
    picked = (choose.choices(range(0x1F300, 0x1F700), k=LETTERS) for _ in range(count))
    return ["".join(map(chr, letters)) for letters in picked]


def names_of_one_block(count: int, seed: int = 0) -> list[str]:
    """Long names of drones that all lie in block 0: who knows the hash can choose them."""
    stems = [name[:-1] for name in long_names(count, seed)]
    hashes = _fnv(np.full(count, 0x811C9DC5, np.uint32), [stem.encode() for stem in stems])
    named = []
    for stem, begun in zip(stems, hashes, strict=True):
        last = next(chr(at) for at in range(0x1F300, 0x1F700) if _fnv(begun[None], [chr(at).encode()])[0] % BLOCKS == 0)
        named.append(stem + last)
    return named


def _fnv(value: Any, texts: Sequence[bytes]) -> Any:
    letters = np.frombuffer(b"".join(texts), np.uint8).reshape(len(texts), -1)
    for column in letters.T:
        value = (value ^ column.astype(np.uint32)) * np.uint32(0x01000193)
    return value


def land(lake: Path | str, at: datetime, **columns: Iterable[str]) -> int:
    """A commit with one report for each value of `columns` (drone_id, country, city), all in the hour `at`."""
    many = len(list(next(iter(columns.values()))))
    whole = lakes.table([lakes.row(1, at)])
    rows = pa.concat_tables([whole] * many).combine_chunks()
    changed: dict[str, Any] = {"kafka_offset": range(10_000, 10_000 + many), "report_id": map(str, range(many))}
    for name, values in {**changed, **columns}.items():
        at_index = rows.schema.get_field_index(name)
        rows = rows.set_column(at_index, rows.schema.field(name), pa.array(list(values), rows.schema.field(name).type))
    return lakes.land_table(lake, rows)


def neighbours(lake: Path | str, at: datetime, count: int = 20) -> int:
    """Honest reports of the same hour."""
    honest = [
        lakes.row(number, at + timedelta(seconds=number), country="France", city="Paris") for number in range(count)
    ]
    return lakes.land(lake, honest)
