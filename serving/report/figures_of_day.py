"""The figures of one day out of merged cells of `fleet.figures.cube.HOURS`."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.figures import statistics
from serving.figures.ranges import Range
from serving.figures.served import Served
from serving.report import facts


@dataclass(frozen=True)
class DayFigures:
    """One day; `peace_score` and `battery` are None when nothing was received, `by_hour` is 24 counts of alerts."""

    reports: int
    alerts: int
    peace_score: float | None
    battery: float | None
    by_hour: list[int]
    countries: list[facts.PlaceCount]
    scores: list[facts.ScoreCount]

    @classmethod
    def of(cls, served: Served, day: Range) -> DayFigures:
        """The day's event hours as `served` holds them."""
        by_hour = served.cells(day.first, day.end, "event_hour")
        parts = statistics.alerts_by_part_of_day(by_hour, day.local)
        means = statistics.averages(by_hour)
        countries = statistics.alerts_by_country(served.cells(day.first, day.end, "country"), None)["countries"]
        scores = statistics.alerts_by_peace_score(served.cells(day.first, day.end, "worst_score"))["scores"]
        return cls(
            reports=means["reports"],
            alerts=parts["total"],
            peace_score=means["peace_score"],
            battery=means["battery"],
            by_hour=parts["hours"],
            countries=[facts.PlaceCount(row["country"], row["reports"], row["alerts"]) for row in countries],
            scores=[facts.ScoreCount(**row) for row in scores] if means["reports"] else [],
        )
