"""MongoDB's views -> the facts of a day, with all its statistics at one version of the lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fleet.reports.report import EARLIEST
from infra.mongo.client import Documents
from serving.figures import ranges
from serving.figures.ranges import Range
from serving.figures.served import Served
from serving.report import by_day, completeness, delivery_stats, facts
from serving.report.figures_of_day import DayFigures
from serving.services import Services

WEEKS: int = 4
"""A usual day is the mean of the same week-day over this many weeks before."""


@dataclass(frozen=True)
class OfficersDay:
    """The day of a report on the officers' clock `zone`, an IANA name of a whole-hour zone."""

    day: date
    zone: str = "UTC"

    @property
    def hours(self) -> Range:
        return self.on(self.day)

    def on(self, day: date) -> Range:
        """The event hours of another day on the same clock; none of a day before there could be reports."""
        if day < EARLIEST.date():
            return Range(0, 0, ranges.zone_of(self.zone))
        return ranges.parse(day.isoformat(), day.isoformat(), ranges.zone_of(self.zone), None)

    @property
    def day_before(self) -> date:
        return self.day - timedelta(days=1)

    @property
    def same_weekdays(self) -> list[date]:
        """The same week-day of the four weeks before."""
        return [self.day - timedelta(weeks=week) for week in range(1, WEEKS + 1)]

    @property
    def last_weeks(self) -> list[date]:
        """The four weeks that end with the day."""
        return [self.day - timedelta(days=n) for n in reversed(range(7 * WEEKS))]


def facts_of(
    services: Services, officers_day: OfficersDay, made_at: datetime, revision: int = 0, link: str = ""
) -> facts.DayReport:
    """All facts of the day's report. Raises PyMongoError when MongoDB does not answer, BadInput for a zone."""
    served = services.merge.served(_hours_needed(officers_day))
    database = services.database
    days = {
        day: DayFigures.of(served, officers_day.on(day))
        for day in (officers_day.day, officers_day.day_before, *officers_day.same_weekdays)
    }
    today = days[officers_day.day]
    hours, utc_day = officers_day.hours, by_day.utc_day(officers_day.hours)
    state, missing = completeness.state(database, served, hours)
    incidents, incidents_total = delivery_stats.incidents(database, hours)
    return facts.DayReport(
        day=officers_day.day,
        timezone=officers_day.zone,
        state=state,
        missing=missing,
        revision=revision,
        changes=[],
        headline=_headline(services, officers_day, days),
        incidents=incidents,
        incidents_total=incidents_total,
        statistics=_statistics(services, served, officers_day, days),
        drones=by_day.drones(database, utc_day),
        delivery=delivery_stats.delivery(database, hours),
        quality=by_day.quality(
            database, utc_day, today.reports if hours.whole_days else None, completeness.lost(database, hours)
        ),
        making=_making(database, served, made_at),
        link=link,
        utc_day=None if hours.whole_days else utc_day,
        utc_day_complete=hours.whole_days or completeness.is_settled(database, utc_day),
    )


def _making(database: Documents, served: Served, made_at: datetime) -> facts.Making:
    run = completeness.run_behind(database)
    return facts.Making(
        version=served.version,
        batch_version=run.version,
        as_of=served.as_of,
        made_at=made_at,
        batch_run=run.id,
        batch_seconds=run.seconds,
    )


def _hours_needed(officers_day: OfficersDay) -> set[int]:
    days = {officers_day.day, officers_day.day_before, *officers_day.same_weekdays, *officers_day.last_weeks}
    return {hour for day in days for hour in officers_day.on(day).hours}


def _headline(services: Services, officers_day: OfficersDay, days: dict[date, DayFigures]) -> facts.HeadlineFigures:
    usual_days = [days[day] for day in officers_day.same_weekdays if days[day].reports]
    low = {day: by_day.drones_low(services.database, by_day.utc_day(officers_day.on(day))) for day in days}

    def figure(name: str) -> facts.Figure:
        values = [value for day in usual_days if (value := getattr(day, name)) is not None]
        return facts.Figure(
            getattr(days[officers_day.day], name), _known(days[officers_day.day_before], name), _mean(values)
        )  # fmt: skip

    usual_low = [low[day] for day in officers_day.same_weekdays if days[day].reports]
    return facts.HeadlineFigures(
        reports=figure("reports"),
        alerts=figure("alerts"),
        peace_score=figure("peace_score"),
        battery=figure("battery"),
        low_drones=facts.Figure(
            low[officers_day.day],
            low[officers_day.day_before] if days[officers_day.day_before].reports else None,
            _mean(usual_low),
        ),
    )


def _known(day: DayFigures, name: str) -> float | None:
    """A figure of a day; None for a day without reports, which is nothing to compare with."""
    value: float | None = getattr(day, name)
    return value if day.reports else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _statistics(
    services: Services, served: Served, officers_day: OfficersDay, days: dict[date, DayFigures]
) -> facts.Statistics:
    today, usual = days[officers_day.day], [days[day] for day in officers_day.same_weekdays if days[day].reports]
    cities, cities_total = by_day.cities(services.database, by_day.utc_day(officers_day.hours))
    hours = [sum(day.by_hour[hour] for day in usual) / len(usual) if usual else 0.0 for hour in range(24)]
    weeks = [DayFigures.of(served, officers_day.on(day)) for day in officers_day.last_weeks]
    weekdays = [
        facts.WeekdayCount(
            weekday,
            sum(day.alerts for day in weeks[weekday_index::7]),
            sum(1 for day in weeks[weekday_index::7] if day.reports),
        )
        for weekday_index, weekday in _weekdays_from(officers_day.last_weeks[0])
    ]
    return facts.Statistics(
        alerts_by_hour=today.by_hour,
        usual_by_hour=hours,
        countries=today.countries,
        cities=cities,
        weekdays=sorted(weekdays, key=lambda count: count.weekday),
        scores=today.scores,
        cities_total=cities_total,
    )


def _weekdays_from(first: date) -> list[tuple[int, int]]:
    return [(n, (first + timedelta(days=n)).isoweekday()) for n in range(7)]
