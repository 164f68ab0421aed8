"""Models that several resources share."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from fleet.errors import BadInput
from fleet.figures.statistics import dates_between
from serving.api.times import Day
from serving.figures.ranges import DAY_OR_HOUR, DAY_OR_HOUR_FORM, MAX_DAYS
from serving.http.model import Model
from serving.http.paging import CURSOR
from serving.http.problems import FORMS

Text = Annotated[str, Field(min_length=1, max_length=200)]
_ZONE: Final = r"^[A-Za-z0-9_+\-/]+$"


def _with_plus(name: Any) -> Any:
    """`Etc/GMT+5` as it was meant: a `+` in an address is read as a space."""
    return name.replace(" ", "+") if isinstance(name, str) else name


Zone = Annotated[str, BeforeValidator(_with_plus), Field(max_length=64, pattern=_ZONE)]

FORMS.update(
    {
        DAY_OR_HOUR: DAY_OR_HOUR_FORM,
        _ZONE: "give an IANA time zone, such as Europe/Paris",
        CURSOR: "this is not a cursor; take `next` of the previous page",
    }
)


class Query(Model):
    """A request's parameters; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    @classmethod
    @cache
    def model_json_schema(cls, *args: Any, **more: Any) -> dict[str, Any]:  # type: ignore[override]
        """Cached: flask-openapi3 asks for it at every request, and making it takes longer than most answers."""
        return super().model_json_schema(*args, **more)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A parameter is given or not: no text means null, so the schema does not offer it."""
        schema = handler.resolve_ref_schema(handler(core))
        for name, field in schema.get("properties", {}).items():
            kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
            if len(kinds) == 1:
                kept = {key: value for key, value in field.items() if key not in ("anyOf", "default")}
                schema["properties"][name] = {**kinds[0], **kept}
        return schema


class SpanQuery(Query):
    """The time of the reports to count."""

    start: str | None = Field(
        None,
        alias="from",
        pattern=DAY_OR_HOUR,
        description="first day or hour; the default is that of the first report",
        json_schema_extra={"example": "2026-11-01"},
    )
    end: str | None = Field(
        None,
        alias="to",
        pattern=DAY_OR_HOUR,
        description="last day or hour, included",
        json_schema_extra={"example": "2026-11-24"},
    )


class RangeQuery(SpanQuery):
    """Which reports to count."""

    country: Text | None = Field(
        None, description="only reports from this country", json_schema_extra={"example": "France"}
    )


class ZonedQuery(RangeQuery):
    """Which reports to count, and in which time zone."""

    tz: Zone = Field(
        "UTC",
        description="IANA time zone of days and hours; its offset from UTC must be whole hours",
        json_schema_extra={"example": "Europe/Paris"},
    )


class DaysQuery(Query):
    """Which UTC days; without them the last seven."""

    start: Day | None = Field(None, alias="from", description="first UTC day")
    end: Day | None = Field(None, alias="to", description="last UTC day, included")


def days_of(query: DaysQuery, today: date) -> list[date]:
    """The days of a request, at least one. Raises BadInput for a range that is empty or too long."""
    last = query.end or max(today, query.start or today)
    first = query.start or date.fromordinal(max(1, last.toordinal() - 6))
    if last < first:
        raise BadInput("to", "the range ends before it starts")
    if (last - first).days >= MAX_DAYS:
        raise BadInput("from", f"the range is longer than {MAX_DAYS} days")
    return dates_between(first, last)


class Figures(Model):
    """Fields of every answer."""

    model_config = ConfigDict(populate_by_name=True)

    version: int = Field(description="version of the lake that the answer describes; -1: nothing has landed")
    as_of: datetime | None = Field(description="time of that version")
    start: str | None = Field(alias="from", description="first day or hour that is counted; null: there are no reports")
    end: str | None = Field(alias="to", description="last day or hour that is counted")
    tz: str = Field(description="time zone of days and hours")
    country: str | None = Field(description="the country counted; null: all")
    complete: bool = Field(description="whether all reports of all days in the range are known to have landed")
    incomplete_days: list[str] = Field(
        description="UTC days of the range whose reports are not all known to have landed"
    )
