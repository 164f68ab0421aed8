"""The soak's faults are drawn by a seed: every one once a round, the same for the same seed."""

from __future__ import annotations

from tests.soak.faults import FAULTS, drawn


def test_each_round_holds_every_fault_once() -> None:
    for round_ in range(3):
        numbers = range(round_ * len(FAULTS), (round_ + 1) * len(FAULTS))
        assert sorted(drawn(7, number) for number in numbers) == sorted(FAULTS)


def test_a_later_piece_goes_on_where_the_last_one_ended() -> None:
    names = [drawn(7, number) for number in range(40)]
    assert names == [drawn(7, number) for number in range(25)] + [drawn(7, number) for number in range(25, 40)]


def test_another_seed_is_another_order() -> None:
    assert [drawn(7, number) for number in range(10)] != [drawn(8, number) for number in range(10)]


def test_the_list_has_every_kind_that_the_mission_must_outlive() -> None:
    kinds = (
        *("killed", "frozen", "broker leader", "MongoDB primary", "Spark worker", "S3 away", "disk full"),
        *("429", "500", "HTML", "silent", "hour ahead", "partition added"),
    )
    assert [kind for kind in kinds if not any(kind in name for name in FAULTS)] == []
