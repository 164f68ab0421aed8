"""Two different things never get one id, whatever their parts are."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from fleet.identity import join, split

PARTS = st.lists(st.text(alphabet=st.sampled_from("/%25F2a\u0001é") | st.characters(), max_size=6), min_size=1)


@given(PARTS)
@example(["paris", "7/18"])
@example(["%2F", "%252F", ""])
def test_an_id_gives_its_parts_back(parts: list[str]) -> None:
    assert split(join(*parts)) == tuple(parts)


def test_usual_ids_stay_readable() -> None:
    assert join("unrest", "PW-1", "7") == "unrest/PW-1/7"


def test_a_separator_in_a_part_is_no_separator() -> None:
    assert join("unrest", "paris", "7/18") != join("unrest", "paris/7", "18")
