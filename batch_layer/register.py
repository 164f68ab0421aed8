"""The register of drones: who is expected to report on which day, where it is not left to who was seen lately.

A CSV file with a header: `drone_id`, `from`, `until`; the dates are UTC days, both in service, and may be empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from fleet.errors import BadInput, BadSettings
from fleet.spreadsheet import Spreadsheet

COLUMNS: Final = ("drone_id", "from", "until")
_TYPES: Final = {"drone_id": pa.string(), "from": pa.date32(), "until": pa.date32()}


@dataclass(frozen=True)
class Register:
    """Rows of COLUMNS."""

    drones: pa.Table

    def expected(self, day: date) -> pa.Array:
        """The ids of the drones in service on `day`, each once."""
        begins = pc.fill_null(pc.less_equal(self.drones["from"], pa.scalar(day)), True)
        ends = pc.fill_null(pc.greater_equal(self.drones["until"], pa.scalar(day)), True)
        return pc.unique(self.drones.filter(pc.and_(begins, ends))["drone_id"].combine_chunks())


def load(path: Path) -> Register:
    """Raises BadSettings when the file cannot be read, BadInput that says what is wrong with it."""
    try:
        drones = _read(path.read_bytes())
    except OSError as error:
        raise BadSettings(f"PEACEWATCH_DRONE_REGISTER: {error.strerror}: {path}") from None
    except (pa.ArrowInvalid, KeyError) as error:
        raise BadInput(str(path), " ".join(str(error).split())[:300]) from None
    # A spreadsheet writes rows of separators alone where cells were cleared.
    empty = pc.and_(pc.and_(pc.is_null(drones["drone_id"]), pc.is_null(drones["from"])), pc.is_null(drones["until"]))
    nobody = pc.or_kleene(pc.is_null(drones["drone_id"]), pc.equal(drones["drone_id"], ""))
    nobody = pc.and_(nobody, pc.invert(empty))
    if pc.any(nobody).as_py():
        raise BadInput(str(path), f"line {nobody.to_pylist().index(True) + 2} has no drone_id")
    return Register(drones.filter(pc.invert(empty)))


def _read(data: bytes) -> pa.Table:
    header = data.partition(b"\n")[0].decode("utf-8", "replace")
    parsing = pyarrow.csv.ParseOptions(delimiter=Spreadsheet([header], COLUMNS).separator)
    converting = pyarrow.csv.ConvertOptions(column_types=_TYPES, include_columns=COLUMNS, strings_can_be_null=True)
    return pyarrow.csv.read_csv(pa.BufferReader(data), parse_options=parsing, convert_options=converting)
