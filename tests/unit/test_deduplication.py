"""Duplicates and conflicts, and that a memory built from rows knows the same as one that saw them come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speed_layer.landing.deduplication import RecentReports, Verdict, name_of

SIZE = 10
arrivals = st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 5).map(str)), max_size=80)


def kept(messages: list[tuple[str, str]], window: RecentReports, first: int = 0) -> list[tuple[str, str, int]]:
    return [
        (drone, report, offset)
        for offset, (drone, report) in enumerate(messages, first)
        if window.look((drone, report, 0), 7, offset) is Verdict.NEW
    ]


@given(arrivals)
def test_a_duplicate_has_a_row_of_its_identity_at_most_a_window_before_it(messages: list[tuple[str, str]]) -> None:
    rows: list[tuple[str, str, int]] = []
    for offset, (drone, report) in enumerate(messages):
        if not any((drone, report) == row[:2] and offset - row[2] <= SIZE for row in rows):
            rows.append((drone, report, offset))
    assert kept(messages, RecentReports(size=SIZE)) == rows


@given(arrivals, st.integers(0, 80))
def test_a_process_that_takes_over_keeps_the_same(messages: list[tuple[str, str]], at: int) -> None:
    at = min(at, len(messages))
    before = kept(messages[:at], RecentReports(size=SIZE))
    successor = RecentReports(size=SIZE)
    successor.remember(((drone, report, 0), offset) for drone, report, offset in before if offset >= at - SIZE)
    assert before + kept(messages[at:], successor, at) == kept(messages, RecentReports(size=SIZE))


@given(arrivals, st.lists(st.integers(1, 20), min_size=1, max_size=20))
def test_many_at_once_are_entered_as_one_by_one_or_not_at_all(
    messages: list[tuple[str, str]], parts: list[int]
) -> None:
    single, many = RecentReports(size=SIZE), RecentReports(size=SIZE)
    at = 0
    for count in parts:
        offsets = list(range(at, min(at + count, len(messages))))
        identities = [(*messages[offset], offset // 7) for offset in offsets]
        verdicts = [single.look(identity, 7, offset) for identity, offset in zip(identities, offsets, strict=True)]
        if offsets and many.enter([name_of(identity) for identity in identities], [7] * len(offsets), offsets):
            assert set(verdicts) == {Verdict.NEW}
        else:
            assert [many.look(each, 7, offset) for each, offset in zip(identities, offsets, strict=True)] == verdicts
        at += len(offsets)


def test_it_forgets_what_is_out_of_the_window() -> None:
    window = RecentReports(size=SIZE)
    assert len(kept([("A", str(n)) for n in range(1000)], window)) == 1000
    assert len(window) <= 2 * SIZE


def test_drone_and_report_do_not_run_together() -> None:
    assert len(kept([("ab", "c"), ("a", "bc")], RecentReports())) == 2


sayings = st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 3), st.integers(0, 2)), max_size=60)


@given(sayings, st.integers(0, 60))
def test_a_process_that_takes_over_finds_the_same_conflicts(said: list[tuple[str, int, int]], at: int) -> None:
    """`said`: drone, time, content. The successor asks the lake what the rows say."""
    whole = RecentReports(size=SIZE)
    verdicts = [whole.look((drone, "7", time), content, offset) for offset, (drone, time, content) in enumerate(said)]
    rows = [
        ((drone, "7", time), offset, content)
        for offset, (drone, time, content) in enumerate(said[:at])
        if verdicts[offset] is Verdict.NEW
    ]
    asked = []

    def around(offset: int) -> list[tuple[tuple[str, str, int], int, int]]:
        asked.append(offset)
        return [row for row in rows if abs(row[1] - offset) < 3]

    successor = RecentReports(around, size=SIZE)
    successor.remember((identity, offset) for identity, offset, _ in rows if offset >= at - SIZE)
    later = [
        successor.look((drone, "7", time), content, offset)
        for offset, (drone, time, content) in enumerate(said[at:], at)
    ]
    assert later == verdicts[at:]
    assert len(asked) == len(set(asked)), "what a row says is asked for once"


def test_missing_row_of_the_lake_counts_as_a_duplicate() -> None:
    window = RecentReports()
    window.remember([(("A", "7", 0), 5)])
    assert window.look(("A", "7", 0), 1, 6) is Verdict.DUPLICATE


def test_look_outside_the_window_changes_no_newer_row() -> None:
    old, newer = ("A", "1", 0), ("B", "2", 0)
    window = RecentReports(lambda _offset: [(old, 0, 5), (("C", "3", 0), 2, 7)], size=SIZE)
    window.remember([(old, 0), (("C", "3", 0), 2)])
    assert window.look(newer, 9, SIZE + 1) is Verdict.NEW
    assert window.look(("C", "3", 0), 7, SIZE + 2) is Verdict.DUPLICATE
    assert window.look(newer, 9, SIZE + 3) is Verdict.DUPLICATE


def test_content_of_rows_is_read_once_a_file() -> None:
    """A producer that sends a backlog twice, after a restart: each file of the lake is read once, not once a report."""
    asked = []

    def file(offset: int) -> list[tuple[tuple[str, str, int], int, int]]:
        asked.append(offset)
        first = offset // 10 * 10
        return [(("A", str(at), 0), at, at) for at in range(first, first + 10)]

    window = RecentReports(file, size=10 * SIZE)
    window.remember((("A", str(at), 0), at) for at in range(30))
    assert {window.look(("A", str(at), 0), at, 30 + at) for at in range(30)} == {Verdict.DUPLICATE}
    assert asked == [0, 10, 20]


def test_a_row_that_has_left_the_lake_is_asked_for_once() -> None:
    asked = []

    def stored(offset: int) -> tuple[()]:
        asked.append(offset)
        return ()

    window = RecentReports(stored, size=SIZE)
    window.remember([(("A", "7", 0), 3)])
    assert {window.look(("A", "7", 0), content, 5 + content) for content in range(3)} == {Verdict.DUPLICATE}
    assert asked == [3]
