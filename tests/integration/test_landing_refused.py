"""What MongoDB refuses for what it is: contained to that document, noted for operators, and never sent again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pymongo.database import Database

from fleet.figures.cube import HOURS
from infra.delta import Commit
from infra.mongo import live, problems
from infra.mongo.cells import encoded_size
from infra.mongo.client import is_refused
from infra.mongo.packed import unpack
from speed_layer.landing.commit import Lake
from speed_layer.landing.last_states import LastStates, States, newest
from speed_layer.landing.live_views import LiveViews, Pending
from tests.support.lakes import START, row, some_rows, table

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


def wide(many: int) -> pa.Table:
    """Cells of more bytes than a document takes, if it were one."""
    return HOURS.fold(table(row(n, START, country=f"{n:05}" + "x" * 800) for n in range(many)))


def test_cells_of_more_than_a_document_are_parts_and_read_back_whole(mongo_database: Database[Any]) -> None:
    cells = wide(20_000)
    assert encoded_size(cells) > 16 * 1024 * 1024
    assert live.insert(mongo_database, 7, NOW, cells)
    assert live.insert(mongo_database, 7, NOW, cells), "another process was faster"
    (stored,) = mongo_database["live"].find()
    assert stored["parts"] == mongo_database["live_parts"].count_documents({}) + 1 > 1
    assert HOURS.merge([live.cells_of(mongo_database, stored)]).equals(cells)
    assert problems.latest(mongo_database) == []
    live.delete_through(mongo_database, 7)
    assert mongo_database["live_parts"].count_documents({}) == 0


def test_a_live_document_that_is_refused_stops_no_other(mongo_database: Database[Any], tmp_path: Path) -> None:
    """A bound that is too wide stands for whatever else MongoDB may refuse."""
    small, views, pending = wide(3), LiveViews(mongo_database, Lake(str(tmp_path))), Pending()
    assert not live.insert(mongo_database, 1, NOW, wide(20_000), most=10**9)
    pending.put(Commit(2, NOW, (), frozenset()), small, {})
    assert views.write(pending)
    assert live.missing(mongo_database, 0, 2) == [], "readers are held up by no gap"
    refused, written = mongo_database["live"].find(sort=[("_id", 1)])
    assert refused["unwritable"]
    assert live.cells_of(mongo_database, refused).num_rows == 0
    assert live.cells_of(mongo_database, written).equals(small)
    (problem,) = problems.latest(mongo_database)
    assert problem["what"] == "live documents"
    assert problem["reason"].startswith("version 1: ")
    assert not live.insert(mongo_database, 3, NOW, wide(20_000), most=10**9)
    assert [one["reason"][:10] for one in problems.latest(mongo_database)] == ["version 3:"], "the latest of a kind"


def test_unreachable_mongodb_is_not_a_refusal() -> None:
    def away() -> None:
        raise OSError("MongoDB is away")

    with pytest.raises(OSError, match="away"):
        problems.refusal(away)
    assert not is_refused(OSError())


def test_blocks_of_last_states_are_divided_and_those_of_before_go(
    mongo_database: Database[Any], tmp_path: Path
) -> None:
    states = LastStates(mongo_database, Lake(str(tmp_path)), most=3000)
    rows = [
        {**one, "drone_id": f"{n:04}" + "0" * 100, "city": f"{n * 7919:09}" * 10}
        for n, one in enumerate(some_rows(500))
    ]
    whole = newest([table(rows)])
    states.add(States("topic", 1, 0, 500, whole))
    states.write()
    blocks = list(mongo_database["drone_blocks"].find())
    assert len(blocks) > 8
    assert all(len(one["block"]) <= 3000 for one in blocks)
    stored = pa.concat_tables([unpack(one["block"]) for one in blocks])
    assert stored.sort_by("drone_id").to_pylist() == whole.sort_by("drone_id").to_pylist()

    other = LastStates(mongo_database, Lake(str(tmp_path)), most=3000)  # takes over, and finds all of them
    other.add(States("topic", 1, 500, 501, newest([table(some_rows(1, first=900))])))
    other.write()
    stored = pa.concat_tables([unpack(one["block"]) for one in mongo_database["drone_blocks"].find()])
    assert stored.num_rows == whole.num_rows + 1
    assert {one["next_offset"] for one in mongo_database["drone_blocks"].find()} == {501}
