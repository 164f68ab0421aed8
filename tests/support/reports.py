"""Day reports made up for tests and pictures: a busy day with 200 countries, a calm one, an empty one."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

from serving.report import facts

DAY = date(2026, 11, 23)
PLACES = (
    ("Brazil", "São Paulo", -23.55, -46.63),
    ("Россия", "Санкт-Петербург", 59.94, 30.31),
    ("日本", "東京", 35.68, 139.69),
    ("مصر", "القاهرة", 30.04, 31.24),
    ("भारत", "मुंबई", 19.08, 72.88),
    ("Ελλάδα", "Αθήνα", 37.98, 23.73),
    ("ישראל", "ירושלים", 31.77, 35.21),
    ("ประเทศไทย", "กรุงเทพฯ", 13.75, 100.5),
)


def busy(countries: int = 200, seed: int = 7) -> facts.DayReport:
    """A complete day with incidents in eight scripts and `countries` countries."""
    draw = random.Random(seed)
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    by_hour = [int(40 + 30 * draw.random() + (400 if 17 <= hour <= 20 else 0)) for hour in range(24)]
    places = [
        facts.PlaceCount(f"Country {n:03d}" if n >= len(PLACES) else PLACES[n][0], 65000 - 100 * n, max(0, 320 - 3 * n))
        for n in range(countries)
    ]
    incidents = [_incident(n, place, midnight, draw) for n, place in enumerate(PLACES * 2)]
    return facts.DayReport(
        day=DAY,
        timezone="UTC",
        state="complete",
        missing=[],
        revision=0,
        changes=[],
        headline=facts.HeadlineFigures(
            reports=facts.Figure(12_960_000, 12_900_000, 12_955_000),
            alerts=facts.Figure(sum(by_hour), 1480, 1500.5),
            peace_score=facts.Figure(5.87, 6.12, 6.1),
            battery=facts.Figure(57.4, 57.1, 58.0),
            low_drones=facts.Figure(412, 430, 405.0),
        ),
        incidents=incidents,
        incidents_total=143,
        statistics=facts.Statistics(
            alerts_by_hour=by_hour,
            usual_by_hour=[62.0 + 5 * (hour % 5) for hour in range(24)],
            countries=places,
            cities=[facts.PlaceCount(c, 9000 - n, 200 - 9 * n, city) for n, (c, city, *_) in enumerate(PLACES)],
            weekdays=[facts.WeekdayCount(day, 6000 + 120 * day, 4) for day in range(1, 8)],
            scores=[facts.ScoreCount(score, 900 * score, 88 * (11 - score)) for score in range(1, 11)],
        ),
        drones=facts.DronesOfDay(
            seen=9000,
            low=412,
            silent=17,
            with_gaps=233,
            worst_batteries=[_drone(n, midnight) for n in range(8)],
            longest_gaps=[_drone(n + 50, midnight) for n in range(8)],
        ),
        delivery=facts.DeliveryOfDay(
            sum(by_hour) + 2,
            sum(by_hour),
            391,
            12.0,
            84.0,
            21,
            [
                facts.Wait("digest", "unrest", "moderate", 13, 71.0, 96.0),
                facts.Wait("unreachable", "unrest", "critical", 5, 184.0, 412.0),
                facts.Wait("turn", "low_battery", "moderate", 3, 63.0, 64.0),
                facts.Wait("pending", "unrest", "high", 2),
            ],
        ),
        quality=facts.Quality(12_960_000, 12_968_000, 1205, 37, {"not json": 3, "ahead of time": 1}),
        making=facts.Making(
            18211, 18199, midnight + timedelta(hours=24.2), midnight + timedelta(hours=24.25), "r1", 93
        ),
        link="http://127.0.0.1/?from=2026-11-23&to=2026-11-23",
    )


def empty() -> facts.DayReport:
    """A day on which nothing was received."""
    nothing = facts.Figure(0.0, 0.0, None)
    unknown = facts.Figure(None)
    made = datetime(2026, 11, 24, 0, 15, tzinfo=UTC)
    return facts.DayReport(
        day=DAY,
        timezone="UTC",
        state="empty",
        missing=[],
        revision=0,
        changes=[],
        headline=facts.HeadlineFigures(nothing, nothing, unknown, unknown, nothing),
        incidents=[],
        incidents_total=0,
        statistics=facts.Statistics([0] * 24, [0.0] * 24, [], [], [], []),
        drones=facts.DronesOfDay(),
        delivery=facts.DeliveryOfDay(),
        quality=facts.Quality(),
        making=facts.Making(3, None, None, made),
    )


def _incident(
    n: int, place: tuple[str, str, float, float], midnight: datetime, draw: random.Random
) -> facts.IncidentOfDay:
    since = midnight + timedelta(minutes=draw.randrange(1200))
    return facts.IncidentOfDay(
        incident_id=f"i{n}",
        kind="unrest",
        severity=("critical", "high", "moderate")[min(n // 5, 2)],
        state="resolved",
        country=place[0],
        city=place[1],
        alerts=240 - 13 * n,
        since=since,
        last=since + timedelta(minutes=7 * n + 3),
        worst_score=1 + n // 4,
        latitude=place[2] + n / 3,
        longitude=place[3] + n / 3,
        acknowledged_after=None if n % 3 else 95.0 * n + 20,
    )


def _drone(n: int, midnight: datetime) -> facts.DroneOfDay:
    return facts.DroneOfDay(
        f"PW-{4000 + 37 * n}", PLACES[n % 8][0], 2.5 + n % 8, 1440 - 7 * n, 7 * n, midnight + timedelta(hours=23)
    )
