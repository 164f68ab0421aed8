"""Who is called silent, and who is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fleet.alerts.absence import Last, Silence, Silent
from fleet.alerts.alert import Alert

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
RULE = Silent(interval=60, missed=3, crowd=5)


class Sky:
    """Drones that speak once a minute."""

    def __init__(self, drones: int) -> None:
        self.silence, self.now = Silence(), START
        self.drones = {f"d{n}" for n in range(drones)}
        self.raised: list[Alert] = []

    def minute(self, speaking: set[str] | None = None, lateness: timedelta = timedelta(0)) -> None:
        for drone in sorted(self.drones if speaking is None else speaking):
            cleared = self.silence.hear(RULE, drone, Last(self.now, "Berlin", "Germany"), self.now - lateness)
            self.raised += [cleared] if cleared else []
        self.now += timedelta(minutes=1)
        self.raised += self.silence.sweep(RULE, self.now)

    def minutes(self, count: int, speaking: set[str] | None = None) -> None:
        for _ in range(count):
            self.minute(speaking)

    @property
    def told(self) -> list[tuple[str, bool]]:
        return [(alert.drone_id, alert.clears) for alert in self.raised]


def test_a_drone_that_misses_three_intervals_is_told_once_and_cleared_when_it_speaks() -> None:
    sky = Sky(10)
    sky.minutes(10)
    assert sky.told == []
    sky.minutes(10, sky.drones - {"d3"})
    assert sky.told == [("d3", False)]
    assert sky.raised[0].city == "Berlin"
    assert sky.raised[0].note == "last report 2026-11-24 08:09:00 UTC"
    sky.minutes(5)
    assert sky.told == [("d3", False), ("d3", True)]
    assert len({alert.incident_key for alert in sky.raised}) == 1


def test_many_at_once_are_one_alert_and_cleared_when_most_are_back() -> None:
    sky = Sky(20)
    sky.minutes(10)
    sky.minutes(10, {"d1", "d2"})
    assert sky.told == [("fleet", False)]
    assert sky.raised[0].note.startswith("18 drones at once")
    sky.minutes(10)
    assert sky.told == [("fleet", False), ("fleet", True)]


def test_a_stop_of_the_whole_feed_is_one_alert() -> None:
    sky = Sky(20)
    sky.minutes(10)
    sky.minutes(60, set())
    assert sky.told == [("fleet", False)]
    sky.minutes(10)
    assert sky.told == [("fleet", False), ("fleet", True)]


def test_after_a_gap_everybody_first_gets_the_time_to_speak() -> None:
    sky = Sky(4)
    sky.minutes(10)
    sky.now += timedelta(hours=1)  # nobody looked meanwhile
    sky.minute({"d1"})
    assert sky.told == []
    sky.minutes(5)
    assert sky.told == []


def test_replayed_history_makes_nobody_silent() -> None:
    sky = Sky(10)
    for _ in range(5):
        sky.minute(lateness=timedelta(days=400))
    sky.minutes(60, set())
    assert sky.told == []


def test_who_takes_over_knows_the_silent_and_gives_the_others_time() -> None:
    sky = Sky(10)
    sky.minutes(10)
    sky.minutes(5, sky.drones - {"d3"})
    old, sky.silence = sky.silence, Silence(silent=set(sky.silence.silent))
    sky.silence.restore({drone: at for n in range(64) for drone, at in old.saved(n).items()})
    sky.minutes(5, sky.drones - {"d3", "d4"})
    assert sky.told == [("d3", False), ("d4", False)]
    sky.minutes(2)
    assert sky.told[2:] == [("d3", True), ("d4", True)]


def test_a_drone_silent_for_a_day_is_forgotten() -> None:
    sky = Sky(3)
    sky.minutes(10)
    for _ in range(25):
        sky.minutes(1, {"d1", "d2"})
        sky.now += timedelta(minutes=59)
        sky.minutes(4, {"d1", "d2"})
    assert "d0" not in sky.silence.last
    assert not sky.silence.silent
    assert all("d0" not in sky.silence.saved(n) for n in range(64))
