"""What a copy is, and that a memory built from the rows knows the same as one that saw them come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speed_layer.landing.deduplication import Window

SIZE = 10
arrivals = st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 5).map(str)), max_size=80)


def kept(messages: list[tuple[str, str]], window: Window, first: int = 0) -> list[tuple[str, str, int]]:
    return [
        (drone, report, offset)
        for offset, (drone, report) in enumerate(messages, first)
        if not window.is_duplicate(drone, report, offset)
    ]


@given(arrivals)
def test_a_copy_has_a_row_of_its_id_at_most_a_window_before_it(messages: list[tuple[str, str]]) -> None:
    rows: list[tuple[str, str, int]] = []
    for offset, (drone, report) in enumerate(messages):
        if not any((drone, report) == row[:2] and offset - row[2] <= SIZE for row in rows):
            rows.append((drone, report, offset))
    assert kept(messages, Window(SIZE)) == rows


@given(arrivals, st.integers(0, 80))
def test_a_process_that_takes_over_keeps_the_same(messages: list[tuple[str, str]], at: int) -> None:
    at = min(at, len(messages))
    before = kept(messages[:at], Window(SIZE))
    successor = Window(SIZE)
    successor.remember(row for row in before if row[2] >= at - SIZE)
    assert before + kept(messages[at:], successor, at) == kept(messages, Window(SIZE))


def test_it_forgets_what_is_out_of_the_window() -> None:
    window = Window(SIZE)
    assert len(kept([("A", str(n)) for n in range(1000)], window)) == 1000
    assert len(window) <= 2 * SIZE


def test_drone_and_report_do_not_run_together() -> None:
    assert len(kept([("ab", "c"), ("a", "bc")], Window())) == 2
