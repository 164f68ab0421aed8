"""The statistics, each over a chosen range; `fleet.figures.statistics` defines them."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from pymongo.client_session import ClientSession

from fleet.figures import statistics
from infra.mongo import view_parts
from infra.mongo.session import at_one_instant
from serving.api import PREFIX, answers
from serving.api.figures import envelope, look_up, whole_days
from serving.api.models import Figures, RangeQuery, ZonedQuery
from serving.figures import batch_views, intervals
from serving.figures.days import Keep
from serving.figures.intervals import Group
from serving.figures.ranges import Range
from serving.http.model import Model
from serving.http.tables import TABLE, Format, table
from serving.services import Services

Answer = dict[str, Any]


class Parts(Model):
    """Alerts in each part of the day."""

    night: int = Field(description="hours 0 to 5")
    morning: int = Field(description="hours 6 to 11")
    afternoon: int = Field(description="hours 12 to 17")
    evening: int = Field(description="hours 18 to 23")


class PartsOfDay(Figures):
    """Alerts by part of the day."""

    parts: Parts
    hours: list[int] = Field(description="alerts in each hour of the day", min_length=24, max_length=24)
    total: int


class CountryRow(Model):
    country: str
    alerts: int
    reports: int


class Countries(Figures):
    """The countries with the most alerts."""

    model_config = TABLE

    countries: list[CountryRow]


class Averages(Figures):
    """Means over all reports."""

    reports: int
    battery: float | None = Field(description="percent")
    peace_score: float | None = Field(description="1 to 10, over the citizens seen")


class WeekdayRow(Model):
    weekday: int = Field(description="1 Monday to 7 Sunday", ge=1, le=7)
    alerts: int
    days: int = Field(description="number of such days in the range")


class PerDay(Model):
    alerts: int
    days: int
    alerts_per_day: float | None


class Weekdays(Figures):
    """Alerts by day of the week."""

    weekdays: list[WeekdayRow] = Field(min_length=7, max_length=7)
    working_days: PerDay
    weekend: PerDay


class Share(Model):
    low: int
    total: int
    share: float | None


class LowBattery(Figures):
    """Reports and drones below the threshold."""

    threshold: int = Field(description="percent")
    reports: Share
    drones: Share = Field(description="a drone is low if its last report in the range is; as of batch_version")
    batch_version: int | None = Field(description="version of the lake that `drones` describes; null: no batch run yet")


class ScoreRow(Model):
    peace_score: int = Field(ge=1, le=10, description="the lowest in a report")
    reports: int
    alerts: int


class Scores(Figures):
    """Reports and alerts by the lowest peace score in a report."""

    scores: list[ScoreRow] = Field(min_length=10, max_length=10)


class SeriesRow(Model):
    start: str = Field(description="first day of the interval, or its hour; a week starts on Monday")
    reports: int
    alerts: int
    low_battery: int
    battery: float | None
    peace_score: float | None


class Series(Figures):
    """The figures by interval."""

    model_config = TABLE

    group: str
    series: list[SeriesRow]


class SeriesQuery(ZonedQuery):
    group: Group = Field("day", description="length of an interval")
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


class CountriesQuery(ZonedQuery):
    limit: int = Field(5, ge=1, le=300, description="how many countries at most")
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/statistics/…`."""
    api = APIBlueprint(
        "statistics",
        __name__,
        url_prefix=f"{PREFIX}/statistics",
        abp_tags=[Tag(name="statistics")],
    )

    def look(query: RangeQuery, keep: Keep) -> tuple[Any, Range, Answer]:
        cells, served, wanted = look_up(services, query, keep)
        return cells, wanted, envelope(services, served, wanted, query)

    @api.get("/alerts-by-part-of-day", summary="Alerts by part of the day", responses=answers(PartsOfDay))
    def alerts_by_part_of_day(query: ZonedQuery) -> Answer:
        cells, wanted, answer = look(query, "event_hour")
        return {**answer, **statistics.alerts_by_part_of_day(cells, wanted.local)}

    @api.get("/alerts-by-country", summary="Countries with most alerts", responses=answers(Countries))
    def alerts_by_country(query: CountriesQuery) -> Response:
        cells, _, answer = look(query, "country")
        answer |= statistics.alerts_by_country(cells, query.limit)
        return table(answer, answer["countries"], query.format)

    @api.get("/averages", summary="Mean battery and peace score", responses=answers(Averages))
    def averages(query: ZonedQuery) -> Answer:
        cells, _, answer = look(query, "")
        return {**answer, **statistics.averages(cells)}

    @api.get("/alerts-by-weekday", summary="Alerts by day of the week", responses=answers(Weekdays))
    def alerts_by_weekday(query: ZonedQuery) -> Answer:
        cells, wanted, answer = look(query, "event_hour")
        return {**answer, **statistics.alerts_by_weekday(cells, wanted.dates, wanted.local)}

    @api.get("/low-battery", summary="Reports and drones low on battery", responses=answers(LowBattery))
    def low_battery(query: RangeQuery) -> Answer:
        cells, wanted, answer = look(query, "")
        low, total, version = _drones(services, wanted, query.country)
        return {**answer, **statistics.low_battery(cells, low, total), "batch_version": version}

    @api.get("/alerts-by-peace-score", summary="Alerts by peace score", responses=answers(Scores))
    def alerts_by_peace_score(query: ZonedQuery) -> Answer:
        cells, _, answer = look(query, "worst_score")
        return {**answer, **statistics.alerts_by_peace_score(cells)}

    @api.get("/series", summary="Figures by hour, day, week or month", responses=answers(Series))
    def series(query: SeriesQuery) -> Response:
        cells, wanted, answer = look(query, "event_hour")
        starts = intervals.starts(wanted, query.group)
        figures_by_start = statistics.series(cells, starts, wanted.local)
        rows = [
            {"start": intervals.name(start, query.group), **row}
            for start, row in zip(starts, figures_by_start, strict=True)
        ]
        return table({**answer, "group": query.group, "series": rows}, rows, query.format)

    return api


def _drones(services: Services, wanted: Range, country: str | None) -> tuple[int, int, int | None]:
    """(low, total, batch version) of `drones_by_day`, which is kept by whole UTC days."""
    days = whole_days(wanted)
    if not days:
        return 0, 0, None
    first, last = days[0], days[-1]

    def read(session: ClientSession) -> tuple[int, int, int | None]:
        stored = services.database.drones_by_day.find(batch_views.of_days(first, last), session=session)
        documents = view_parts.whole(services.database, "drones_by_day", stored, session)
        version = batch_views.version(services.database, "drones_by_day", session)
        return *statistics.drones_of_range(documents, first, last, country), version

    return at_one_instant(services.database, read)
