"""The six answers worked out from the CSV file by somebody who never saw the product: plain csv and datetime."""

from __future__ import annotations

import csv
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

COLUMNS = ["DroneID", "Record", "Citizen", "Message", "PeaceScore"]
COLUMNS += ["Country", "City", "Latitude", "Longitude", "Battery", "Alert"]


def read(path: Any) -> Any:
    """The rows as dicts."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Any, rows: Any) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def times(rows: Any, start: Any, clock: Any) -> Any:
    """The time of each row: row i at start + i minutes, or each drone's own rows one minute apart."""
    if clock == "fleet":
        return [start + timedelta(minutes=number) for number in range(len(rows))]
    passed: Counter[str] = Counter()
    found = []
    for row in rows:
        found.append(start + timedelta(minutes=passed[row["DroneID"]]))
        passed[row["DroneID"]] += 1
    return found


def answers(rows: Any, start: Any, clock: Any) -> Any:
    """{name: answer} over all days of the rows, and (first day, last day)."""
    when = times(rows, start, clock)
    alerts = [row["Alert"] == "1" for row in rows]
    first, last = min(when).date(), max(when).date()
    return {
        "alerts-by-part-of-day": part_of_day(when, alerts),
        "alerts-by-country": by_country(rows, alerts),
        "averages": {
            "reports": len(rows),
            "battery": sum(float(row["Battery"]) for row in rows) / len(rows),
            "peace_score": sum(int(row["PeaceScore"]) for row in rows) / len(rows),
        },
        "alerts-by-weekday": by_weekday(when, alerts, first, last),
        "low-battery": low_battery(rows, when),
        "alerts-by-peace-score": by_peace_score(rows, alerts),
    }, (first, last)


def part_of_day(when: Any, alerts: Any) -> Any:
    hours = [0] * 24
    for time, alert in zip(when, alerts, strict=True):
        hours[time.hour] += alert
    parts = {"night": sum(hours[0:6]), "morning": sum(hours[6:12]), "afternoon": sum(hours[12:18])}
    return {"parts": {**parts, "evening": sum(hours[18:24])}, "hours": hours, "total": sum(alerts)}


def by_country(rows: Any, alerts: Any, limit: int = 5) -> Any:
    reports: Counter[str] = Counter()
    raised: Counter[str] = Counter()
    for row, alert in zip(rows, alerts, strict=True):
        reports[row["Country"]] += 1
        raised[row["Country"]] += alert
    names = sorted(reports, key=lambda name: (-raised[name], name))[:limit]
    return {"countries": [{"country": name, "alerts": raised[name], "reports": reports[name]} for name in names]}


def by_weekday(when: Any, alerts: Any, first: Any, last: Any) -> Any:
    raised: Counter[int] = Counter()
    days: Counter[int] = Counter()
    for time, alert in zip(when, alerts, strict=True):
        raised[time.isoweekday()] += alert
    day = first
    while day <= last:
        days[day.isoweekday()] += 1
        day += timedelta(days=1)

    def group(weekdays: Any) -> Any:
        alerts, passed = sum(raised[day] for day in weekdays), sum(days[day] for day in weekdays)
        return {"alerts": alerts, "days": passed, "alerts_per_day": alerts / passed if passed else None}

    week = [1, 2, 3, 4, 5, 6, 7]
    return {
        "weekdays": [{"weekday": day, "alerts": raised[day], "days": days[day]} for day in week],
        "working_days": group(week[:5]),
        "weekend": group(week[5:]),
    }


def low_battery(rows: Any, when: Any) -> Any:
    last = {}
    for row, _ in sorted(zip(rows, when, strict=True), key=lambda pair: pair[1]):
        last[row["DroneID"]] = float(row["Battery"]) < 20
    low = sum(float(row["Battery"]) < 20 for row in rows)
    return {
        "threshold": 20,
        "reports": {"low": low, "total": len(rows), "share": low / len(rows)},
        "drones": {"low": sum(last.values()), "total": len(last), "share": sum(last.values()) / len(last)},
    }


def by_peace_score(rows: Any, alerts: Any) -> Any:
    reports: Counter[int] = Counter()
    raised: Counter[int] = Counter()
    for row, alert in zip(rows, alerts, strict=True):
        reports[int(row["PeaceScore"])] += 1
        raised[int(row["PeaceScore"])] += alert
    scores = range(1, 11)
    return {"scores": [{"peace_score": score, "reports": reports[score], "alerts": raised[score]} for score in scores]}


def like_the_original(count: int = 10_000, seed: int = 20210322) -> Any:
    """Rows of the original's shape: 8 drones, many countries, about 9 % alerts, mostly where peace scores are low."""
    chance = random.Random(seed)
    countries = [f"Country {number}" for number in range(120)] + ["Côte d’Ivoire", "Türkiye", 'Land, "quoted"']
    chance_of_alert = {1: 0.8, 2: 0.6, 3: 0.5, 4: 0.25, 5: 0.05}
    rows = []
    for number in range(count):
        score = min(10, max(1, round(chance.gauss(5.8, 1.7))))
        country = countries[int(len(countries) * chance.random() ** 3)]
        values = [
            str(chance.randint(1, 8)),
            f"{country[:3].upper()}-{number}",
            chance.choice(["Lyssa Pattin", "Zoë Ångström", 'Ann "Nan" Lee', "李小龍"]),
            chance.choice(["Dolore neque.", "Sit, dolor, quaerat.", "Ut quiquia ut."]),
            str(score),
            country,
            chance.choice(["Nek’emtē", "Saijō", "Ashland"]),
            f"{chance.uniform(-55, 70):.4f}",
            f"{chance.uniform(-180, 180):.4f}",
            str(chance.randint(1, 100)),
            str(int(chance.random() < chance_of_alert.get(score, 0.01))),
        ]
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def start_of(year: Any) -> Any:
    """22 March, as the original is replayed."""
    return datetime(year, 3, 22, tzinfo=UTC)
