"""When drones that fall absent together are one alert: decided by numbers alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fleet.alerts.absent_drone import AbsenceRule
from fleet.alerts.crowd import CROWD, AbsentCounts, Crowd
from fleet.alerts.elsewhere import AbsenceShare

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
RULE = AbsenceRule(interval=60, missed=3, crowd=50)
INTERVAL = timedelta(seconds=60)
MOMENT = timedelta(microseconds=1)


def absent(
    held: int = 0, members: int = 0, others: tuple[AbsenceShare, ...] = (), *, speaks: bool = True
) -> AbsentCounts:
    undecided = held + sum(share.held_count for share in others)
    return AbsentCounts(held, undecided, members, others, speaks)


def judge(crowd: Crowd, counts: AbsentCounts, at: datetime = NOW, overdue: int = 0, *, answered: bool = True) -> str:
    return crowd.judge(RULE, at, counts, overdue=overdue, all_answered=answered)


@pytest.mark.parametrize(
    ("held", "overdue", "answered", "verdict"),
    [
        (0, 99, True, "none held"),
        (5, 0, True, "alone"),  # a tenth of a crowd
        (6, 0, True, "wait"),
        (1, 4, True, "alone"),
        (1, 5, True, "wait"),  # they may be the first of many
        (1, 0, False, "wait"),  # another process may have heard it
    ],
)
def test_few_are_raised_at_once_and_more_wait(held: int, overdue: int, answered: bool, verdict: str) -> None:
    assert judge(Crowd(), absent(held), overdue=overdue, answered=answered) == verdict


@pytest.mark.parametrize(
    ("held", "others", "verdict"),
    [
        (50, (), "alone"),
        (51, (), "crowd"),
        (20, (AbsenceShare(1, held_count=30),), "alone"),
        (20, (AbsenceShare(1, held_count=31),), "crowd"),
        (20, (AbsenceShare(1, joined=31, joined_at=NOW),), "crowd"),  # the other process has decided already
        (20, (AbsenceShare(1, joined=31, joined_at=NOW - INTERVAL),), "alone"),  # and these long before
    ],
)
def test_after_an_interval_their_number_decides(held: int, others: tuple[AbsenceShare, ...], verdict: str) -> None:
    crowd, counts = Crowd(), absent(held, others=others)
    assert judge(crowd, counts, overdue=99) == "wait"
    assert judge(crowd, counts, NOW + INTERVAL - MOMENT, overdue=99) == "wait"
    assert judge(crowd, counts, NOW + INTERVAL, overdue=99) == verdict


def test_drone_back_before_the_decision_begins_no_interval() -> None:
    crowd = Crowd()
    assert judge(crowd, absent(20)) == "wait"
    assert judge(crowd, absent(), NOW + INTERVAL / 2) == "none held"
    assert judge(crowd, absent(20), NOW + INTERVAL) == "wait"


def test_the_size_is_notified_when_the_others_have_decided_or_after_half_an_interval() -> None:
    others = (AbsenceShare(1, held_count=30),)
    crowd = Crowd(grows_since=NOW)
    assert not crowd.is_due(RULE, NOW + INTERVAL / 2 - MOMENT, absent(members=60, others=others))
    assert replace(crowd).is_due(RULE, NOW, absent(members=90, others=(AbsenceShare(1),)))
    assert crowd.is_due(RULE, NOW + INTERVAL / 2, absent(members=60, others=others))
    assert crowd.size == 90
    assert crowd.alert(RULE, NOW, NOW).note == "90 drones at once: look at the feed before the drones"


@pytest.mark.parametrize(("members", "due"), [(150, False), (151, True)])
def test_a_crowd_that_grows_by_another_is_notified_again(members: int, due: bool) -> None:
    assert Crowd(size=100).is_due(RULE, NOW, absent(members=members)) is due


def test_only_one_process_speaks_and_the_others_follow_its_size() -> None:
    crowd = Crowd(grows_since=NOW)
    others = (AbsenceShare(0, crowd_size=200),)
    assert not crowd.is_due(RULE, NOW, absent(members=21, others=others, speaks=False))
    assert (crowd.size, crowd.grows_since) == (200, None)
    late = Crowd()
    assert not late.is_due(RULE, NOW, absent(members=20, others=others, speaks=False)), "they are nearly all back"
    assert late.size == 0


@pytest.mark.parametrize(
    ("size", "left", "over"),
    [
        (0, 0, False),
        (200, 20, True),
        (200, 21, False),
        (9, 0, True),
        (9, 1, False),
        (9000, 50, True),
        (9000, 51, False),
    ],
)
def test_it_is_over_when_nearly_all_are_back(size: int, left: int, over: bool) -> None:
    assert Crowd(size).is_over(RULE, absent(members=left)) is over


def test_its_alerts_are_no_drones() -> None:
    crowd = Crowd(200, "an older name")
    raised, cleared = crowd.alert(RULE, NOW, NOW), crowd.alert(RULE, NOW, NOW, clears=True)
    assert raised.incident_key == cleared.incident_key == "silent//an older name"
    assert raised.alert_id != cleared.alert_id
    assert (cleared.note, cleared.clears) == ("", True)
    crowd.size = 0
    assert crowd.is_due(RULE, NOW, absent(members=51))
    assert crowd.name == CROWD, "the next crowd has the name of today"
