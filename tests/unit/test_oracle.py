"""The oracle itself, on rows few enough to count by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support import oracle

ROWS = [
    dict(zip(oracle.COLUMNS, values.split(","), strict=True))
    for values in (
        "1,A-1,Ann,Hm.,2,Norway,Oslo,59.9,10.7,50,1",
        "2,A-2,Bob,Hm.,2,Chad,Moundou,8.5,16.0,10,0",
        "1,A-3,Cyn,Hm.,9,Norway,Oslo,59.9,10.7,19,0",
        "1,A-4,Dee,Hm.,2,Chad,Moundou,8.5,16.0,20,1",
    )
]


def test_counted_by_hand() -> None:
    start = datetime(2021, 3, 21, 23, 58, tzinfo=UTC)  # a Sunday; rows 3 and 4 fall on Monday
    found, days = oracle.answers(ROWS, start, "fleet")
    assert [str(day) for day in days] == ["2021-03-21", "2021-03-22"]
    assert found["alerts-by-part-of-day"]["parts"] == {"night": 1, "morning": 0, "afternoon": 0, "evening": 1}
    assert found["alerts-by-country"]["countries"] == [
        {"country": "Chad", "alerts": 1, "reports": 2},
        {"country": "Norway", "alerts": 1, "reports": 2},
    ]
    assert found["averages"] == {"reports": 4, "battery": 24.75, "peace_score": 3.75}
    assert found["alerts-by-weekday"]["working_days"] == {"alerts": 1, "days": 1, "alerts_per_day": 1.0}
    assert found["alerts-by-weekday"]["weekend"] == {"alerts": 1, "days": 1, "alerts_per_day": 1.0}
    assert found["low-battery"]["reports"] == {"low": 2, "total": 4, "share": 0.5}
    assert found["low-battery"]["drones"] == {"low": 1, "total": 2, "share": 0.5}
    assert found["alerts-by-peace-score"]["scores"][1] == {"peace_score": 2, "reports": 3, "alerts": 2}


def test_the_clock_of_the_drone() -> None:
    start = datetime(2021, 3, 21, 23, 58, tzinfo=UTC)
    minutes = [(time - start).seconds // 60 for time in oracle.times(ROWS, start, "drone")]
    assert minutes == [0, 0, 1, 2]
    assert oracle.answers(ROWS, start, "drone")[0]["alerts-by-part-of-day"]["parts"]["night"] == 1


def test_the_stand_in_for_the_original_has_its_shape() -> None:
    rows = oracle.like_the_original()
    assert len(rows) == len({row["Record"] for row in rows}) == 10_000
    assert 700 < sum(row["Alert"] == "1" for row in rows) < 1100
    assert {int(row["PeaceScore"]) for row in rows} == set(range(1, 11))
