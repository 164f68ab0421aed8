"""Which reports raise alerts, which clear them, and what is said of a wrong rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from importlib import resources

import msgspec
import pytest

from fleet.alerts.absent_drone import AbsenceRule
from fleet.alerts.alert import Alert, alert_id, content_of
from fleet.alerts.charging import Station, compass, nearest_station
from fleet.alerts.rulebook import parse, parse_stations
from fleet.alerts.rules import (
    LowBatteryRule,
    Memory,
    PositionRule,
    Rules,
    Sighting,
    UnrestRule,
    Watchword,
    judge,
    sighting,
)
from fleet.errors import BadSettings
from fleet.reports.report import Citizen, Report

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
BERLIN = (Station("Tempelhof", 52.473, 13.404), Station("Hamburg", 53.55, 9.935))


def seen(**changes: object) -> Sighting:
    values: dict[str, object] = {
        "report_id": "r1",
        "drone_id": "d1",
        "reported_at": AT,
        "latitude": 52.52,
        "longitude": 13.405,
        "battery": 80.0,
        "citizens": [],
        "message": "",
        "alert": False,
        "country": "Germany",
        "city": "Berlin",
    }
    return Sighting(Report(**{**values, **changes}), AT, lambda _latitude, _longitude: ("Nearby", "Somewhere"))  # type: ignore[arg-type]


def raised(rules: Rules, *sightings: Sighting) -> list[Alert]:
    memory = Memory()
    return [alert for one in sightings for alert in judge(rules, memory, one)]


@pytest.mark.parametrize(
    ("flag", "scores", "at_most", "severity"),
    [
        (True, [1], 0, "critical"),
        (True, [9, 2], 0, "critical"),
        (True, [3], 0, "high"),
        (True, [4], 0, "high"),
        (True, [5], 0, "moderate"),
        (True, [], 0, "high"),
        (False, [1], 0, None),
        (False, [3], 3, "high"),
        (False, [4], 3, None),
        (False, [], 3, None),
    ],
)
def test_unrest(flag: bool, scores: list[int], at_most: int, severity: str | None) -> None:
    citizens = [Citizen(f"c{score}", score) for score in scores]
    found = raised(Rules(unrest=UnrestRule(score_at_most=at_most)), seen(alert=flag, citizens=citizens))
    assert [alert.severity for alert in found] == ([severity] if severity else [])


def test_an_alert_says_what_people_ask_first() -> None:
    [alert] = raised(
        Rules(unrest=UnrestRule()), seen(alert=True, citizens=[Citizen("B", 9), Citizen("A", 1)], message="m")
    )
    assert (alert.alert_id, alert.incident_key) == ("unrest/d1/r1/1795507200000", "unrest/germany/berlin")
    assert [citizen.name for citizen in alert.citizens] == ["A", "B"]
    assert (alert.city, alert.country, alert.battery, alert.message, alert.verified) == (
        "Berlin",
        "Germany",
        80.0,
        "m",
        True,
    )


@pytest.mark.parametrize(
    ("city", "country", "place"),
    [
        (None, None, ("Nearby", "Somewhere")),
        ("Berlin", None, ("Berlin", "Somewhere")),
        (None, "Germany", ("unknown", "Germany")),
        (None, "Somewhere", ("Nearby", "Somewhere")),
    ],
)
def test_a_report_in_an_unknown_place_still_has_an_incident(
    city: str | None, country: str | None, place: tuple[str, str]
) -> None:
    [alert] = raised(Rules(unrest=UnrestRule()), seen(alert=True, city=city, country=country))
    assert (alert.city, alert.country) == place


def test_a_low_battery_is_raised_once_until_it_is_charged() -> None:
    rules = Rules(low_battery=LowBatteryRule(stations=BERLIN))
    levels = [25.0, 19.9, 10.0, 21.0, 29.9, 15.0, 30.0, 19.0]
    found = raised(rules, *(seen(report_id=f"r{n}", battery=level) for n, level in enumerate(levels)))
    assert [(alert.report_id, alert.clears) for alert in found] == [("r1", False), ("r6", True), ("r7", False)]
    assert found[0].note == "Tempelhof: 5.2 km S"
    assert {alert.incident_key for alert in found} == {"low_battery/d1"}


@pytest.mark.parametrize(
    ("message", "heard"), [("FIRE!", "FIRE"), ("a gun, there", "gun"), ("fireplace", None), ("begun", None), ("", None)]
)
def test_watchwords_are_whole_words(message: str, heard: str | None) -> None:
    found = raised(Rules(watchword=Watchword(("fire", "gun"))), seen(message=message))
    assert [alert.note for alert in found] == ([heard] if heard else [])


def test_a_very_long_report_makes_a_short_alert() -> None:
    citizens = [Citizen("n" * 1000, 5)] * 10_000
    [alert] = raised(Rules(unrest=UnrestRule()), seen(alert=True, message="x" * 900_000, citizens=citizens))
    assert (len(alert.message), len(alert.citizens), len(alert.citizens[0].name)) == (1000, 10, 100)


def test_distance_and_bearing() -> None:
    station, km, direction = nearest_station(BERLIN, 52.52, 13.405) or pytest.fail("there are stations")
    assert (station.name, round(km, 1), compass(direction)) == ("Tempelhof", 5.2, "S")
    assert nearest_station((), 0, 0) is None
    assert [compass(d) for d in (0, 22, 23, 90, 337, 338, 360)] == ["N", "N", "NE", "E", "NW", "N", "N"]


def test_the_shipped_files_are_right() -> None:
    shipped = resources.files("speed_layer.alerting")
    stations = parse_stations((shipped / "stations.csv").read_text(encoding="utf-8"), "stations.csv")
    rules = parse((shipped / "rules.toml").read_text(encoding="utf-8"), "rules.toml", stations)
    assert rules.unrest == UnrestRule()
    assert rules.low_battery is not None
    assert len(rules.low_battery.stations) == len(stations) > 30
    assert rules.silent is not None


TABLES = {
    "unrest": "[unrest]",
    "low_battery": "[low_battery]",
    "watchword": "[watchword]\nwords = ['fire']",
    "silent": "[silent]",
    "position": "[position]\nnone = [[52.5, 13.4]]",
}
KIND_OF = {"unrest": "unrest", "low_battery": "low_battery", "watchword": "watchword", "silent": "silent"}


def kinds_raised(rules: Rules) -> set[str]:
    """What a drone raises that alarms, is low, hears a watchword and falls silent; `nowhere`: its position is none."""
    memory = Memory()
    alerts = judged(rules, memory)
    for minute in range(1, 8):
        other = seen(drone_id="other", reported_at=AT + timedelta(minutes=minute))
        judge(rules, memory, msgspec.structs.replace(other, received_at=AT + timedelta(minutes=minute)))
        if rules.silent is not None:
            swept = memory.absence.sweep(rules.silent, {0: AT + timedelta(minutes=minute)})
            alerts += [alert for _, alert in swept]
    return {alert.kind for alert in alerts} | {"nowhere" for alert in alerts if alert.latitude is None}


def judged(rules: Rules, memory: Memory) -> list[Alert]:
    return judge(rules, memory, seen(alert=True, battery=4.0, message="fire", latitude=52.5, longitude=13.4))


def test_every_table_of_the_file_has_its_row() -> None:
    assert TABLES.keys() == {field.name for field in msgspec.structs.fields(Rules)}


@pytest.mark.parametrize("left_out", [*TABLES, "all", "none"])
def test_a_table_that_is_missing_turns_its_rule_off(left_out: str) -> None:
    """`[position]` is no rule: without it, the shipped one counts."""
    tables = {name: text for name, text in TABLES.items() if left_out not in (name, "all")}
    rules = parse("\n".join(tables.values()), "r.toml")
    assert kinds_raised(rules) == {KIND_OF.get(name, "nowhere") for name in tables} - (
        {"nowhere"} if left_out == "all" else set()
    )
    if "position" not in tables:
        assert rules.position == PositionRule(((0.0, 0.0),))


@pytest.mark.parametrize("name", [name for name in TABLES if name != "watchword"])
def test_an_empty_table_has_the_shipped_values(name: str) -> None:
    shipped = parse((resources.files("speed_layer.alerting") / "rules.toml").read_text(encoding="utf-8"), "rules.toml")
    assert getattr(parse(f"[{name}]", "r.toml"), name) == getattr(shipped, name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[watchword]", "r.toml, line 1: .*words"),
        ("[unrest]\nscore_at_most = 11", "r.toml, line 2: .*<= 10.*unrest.score_at_most"),
        ("\n\n[unrest]\nhigh_at_most = 'x'", "r.toml, line 4: Expected `int`"),
        ("[unrest]\nscore = 3", "r.toml, line 2: .*unknown field `score`"),
        ("[unrest]\n\n[fog]\nx = 1", "r.toml, line 3: .*unknown field `fog`"),
        ("[low_battery]\nbelow = 40\nclear_at = 30", "r.toml, line 3: low_battery.clear_at must be above"),
        ("[low_battery]\nbelow = 40", "r.toml, line 1: low_battery.clear_at must be above"),
        ("[unrest]\ncritical_at_most = 5", "r.toml, line 2: unrest.critical_at_most must not be above"),
        ("[watchword]\nwords = []", "r.toml, line 2: watchword.words must have a word"),
        ("[silent]\nmissed = 0", "r.toml, line 1: silent.interval and silent.missed must be positive"),
        ("[silent]\nseverity = 'bad'", "r.toml, line 2: Invalid enum value 'bad'"),
        ("[unrest\n", "r.toml: .*line 1"),
        ("unrest = 3", "r.toml, line 1: Expected `object"),
    ],
)
def test_a_wrong_rule_is_named_by_line(text: str, says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        parse(text, "r.toml")


@pytest.mark.parametrize(
    "text",
    [
        '\ufeffname,latitude,longitude\n"A, north",1.5,2\n,,\n',
        'name;latitude;longitude\r\n"A, north";1,5;2\r\n;;\r\n',
        "sep=;\r\nname;latitude;longitude\r\nA, north;1.5;2;;\r\n",
    ],
    ids=["mark, quotes, commas alone", "semicolons and decimal commas", "sep="],
)
def test_stations_are_read_as_spreadsheets_write_them(text: str) -> None:
    (station,) = parse_stations(text, "s.csv")
    assert (station.name, station.latitude, station.longitude) == ("A, north", 1.5, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name,latitude,longitude\n"A"x,1,2', "s.csv, line 2: broken CSV"),
        ("name,lat\n", "s.csv, line 1: the columns must be"),
        ("", "s.csv, line 1"),
        ("name,latitude,longitude\nA,1,2\nB,91,2", "s.csv, line 3: .*<= 90"),
        ("name,latitude,longitude\nA,1", "s.csv, line 2"),
        ("name,latitude,longitude\nA,x,1", "s.csv, line 2"),
    ],
)
def test_a_wrong_station_is_named_by_line(text: str, says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        parse_stations(text, "s.csv")


LOW = Rules(low_battery=LowBatteryRule(), silent=AbsenceRule())


def battery(minute: int, percent: float, arrives: int | None = None, drone: str = "d1") -> Sighting:
    """The report of a minute, which arrives in another where `arrives` says so."""
    at = AT + timedelta(minutes=minute)
    one = seen(report_id=f"r{minute}", drone_id=drone, reported_at=at, battery=percent)
    return msgspec.structs.replace(one, received_at=AT + timedelta(minutes=minute if arrives is None else arrives))


@pytest.mark.parametrize("rules", [LOW, Rules(low_battery=LowBatteryRule())], ids=["tracked", "battery alone"])
def test_an_old_report_does_not_clear_a_low_battery(rules: Rules) -> None:
    found = raised(rules, battery(10, 15.0), battery(2, 60.0, arrives=11), battery(12, 14.0), battery(13, 60.0))
    assert [(alert.report_id, alert.clears) for alert in found] == [("r10", False), ("r13", True)]


@pytest.mark.parametrize("rules", [LOW, Rules(low_battery=LowBatteryRule())], ids=["tracked", "battery alone"])
def test_an_old_report_does_not_make_a_full_battery_low(rules: Rules) -> None:
    assert raised(rules, battery(10, 60.0), battery(2, 15.0, arrives=11)) == []


def test_absence_is_cleared_after_its_rule_is_turned_off() -> None:
    memory = Memory()
    judge(LOW, memory, battery(0, 60.0))
    for minute in range(4, 8):
        judge(LOW, memory, battery(minute, 60.0, drone="other"))
        absent = memory.absence.sweep(AbsenceRule(), {0: AT + timedelta(minutes=minute)})
    assert [alert.drone_id for _, alert in absent] == ["d1"]
    off = Rules(low_battery=LowBatteryRule())
    found = [alert for minute in (30, 40, 50, 51) for alert in judge(off, memory, battery(minute, 60.0))]
    assert [(alert.kind, alert.drone_id, alert.clears) for alert in found] == [("silent", "d1", True)]


def test_a_battery_that_falls_on_is_worse_each_time() -> None:
    levels = [19.0, 15.0, 9.9, 12.0, 9.0, 4.9, 1.0, 25.0, 30.0, 4.0]
    found = raised(LOW, *(battery(minute, percent) for minute, percent in enumerate(levels)))
    assert [(alert.report_id, alert.severity, alert.clears) for alert in found] == [
        ("r0", "moderate", False),
        ("r2", "high", False),
        ("r5", "critical", False),
        ("r8", "moderate", True),
        ("r9", "critical", False),
    ]
    assert len({alert.incident_key for alert in found}) == 1


def test_a_step_is_never_less_than_the_rule() -> None:
    found = raised(Rules(low_battery=LowBatteryRule(severity="critical")), battery(0, 19.0), battery(1, 9.0))
    assert [alert.severity for alert in found] == ["critical", "critical"]


def test_low_drones_that_are_remembered_are_bounded() -> None:
    memory = Memory(most_low=10)
    for number in range(15):
        judge(LOW, memory, battery(0, 10.0, drone=f"d{number}"))
    assert list(memory.low) == [f"d{number}" for number in range(5, 15)]


def test_a_position_that_is_none_is_nowhere() -> None:
    """0/0 without a fix is no place in the Gulf of Guinea."""
    here = {"latitude": 0.0, "longitude": 0.0, "city": None, "country": None, "alert": True, "battery": 5.0}
    rules = Rules(unrest=UnrestRule(), low_battery=LowBatteryRule(stations=BERLIN))
    for alert in raised(rules, seen(**here)):
        assert (alert.city, alert.country, alert.latitude, alert.longitude) == ("unknown", "unknown", None, None)
        assert alert.note == ""
    there = msgspec.structs.replace(rules, position=PositionRule(none=()))
    assert {alert.city for alert in raised(there, seen(**here))} == {"Nearby"}


def test_a_report_that_arrives_late_says_so_and_history_does_not() -> None:
    for late, note in ((1, ""), (4, "arrived 4 min after its time: a slow clock, or out of reach"), (600, "")):
        one = msgspec.structs.replace(seen(alert=True), received_at=AT + timedelta(minutes=late))
        assert [alert.note for alert in raised(Rules(unrest=UnrestRule()), one)] == [note]


@pytest.mark.parametrize(
    "time",
    [
        AT + timedelta(minutes=20),
        AT + timedelta(days=400),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14))),
        datetime(1969, 12, 31, 23, 59, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_a_clock_that_nobody_believes_is_named_and_what_the_drone_says_counts(time: datetime) -> None:
    rules = Rules(UnrestRule(), LowBatteryRule(), silent=AbsenceRule())
    memory = Memory()
    for minute in range(10):
        received_at = AT + timedelta(minutes=minute)
        report = seen(reported_at=time, alert=minute == 3, battery=15.0 if minute > 5 else 80.0).report
        alerts = judge(rules, memory, sighting(report, received_at, lambda *_: None))
        assert [alert.kind for alert in alerts] == {3: ["unrest"], 6: ["low_battery"]}.get(minute, [])
        for alert in alerts:
            assert alert.note.endswith(f"its clock is wrong, it says {time.isoformat(timespec='minutes')}")
            assert (alert.reported_at, alert.verified) == (received_at, True)
            assert alert.alert_id == alert_id(alert.kind, "d1", "r1", time)  # a duplicate has the same
        assert memory.absence.sweep(AbsenceRule(), {0: received_at}) == []
    (duplicate,) = judge(rules, Memory(), sighting(seen(reported_at=time, alert=True).report, AT, lambda *_: None))
    again = judge(rules, Memory(), sighting(seen(reported_at=time, alert=True).report, received_at, lambda *_: None))
    assert content_of(duplicate) == content_of(again[0])
    absent = [alert for _, alert in memory.absence.sweep(AbsenceRule(), {0: received_at + timedelta(minutes=3)})]
    assert [alert.kind for alert in absent] == ["silent"]
    assert absent[0].note.endswith(" UTC, by a clock that is wrong")


@pytest.mark.parametrize(
    ("ahead", "note"),
    [
        (timedelta(minutes=2), ""),
        (timedelta(minutes=3), "its clock is 3 min fast"),
        (timedelta(minutes=10), "its clock is 10 min fast"),
    ],
)
def test_a_clock_that_is_fast_is_named(ahead: timedelta, note: str) -> None:
    report = seen(reported_at=AT + ahead, alert=True).report
    (alert,) = judge(Rules(UnrestRule()), Memory(), sighting(report, AT, lambda *_: None))
    assert (alert.note, alert.reported_at) == (note, AT + ahead)
