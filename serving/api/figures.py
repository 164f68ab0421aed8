"""For every statistic: the figures of the requested range, and the fields that describe an answer."""

from __future__ import annotations

from datetime import UTC, date
from typing import Any

import pyarrow as pa

from fleet.errors import BadInput
from serving.api.models import RangeQuery, SpanQuery, ZonedQuery
from serving.figures.days import Keep, form_of
from serving.figures.ranges import Range, parse, zone_of
from serving.figures.served import Served
from serving.services import Services

Answer = dict[str, Any]


def range_of(services: Services, query: SpanQuery) -> tuple[Served, Range]:
    """The range, and the figures served now, perhaps without any of its hours."""
    zone = zone_of(query.tz) if isinstance(query, ZonedQuery) else UTC
    served = services.merge.served()
    known = None if served.recent_hour is None or served.last_hour is None else (served.recent_hour, served.last_hour)
    return served, parse(query.start, query.end, zone, known)


def look_up(services: Services, query: RangeQuery, keep: Keep) -> tuple[pa.Table, Served, Range]:
    """The cells of the range with at least the key `keep`; of one country or all."""
    _, wanted = range_of(services, query)
    form = form_of(keep, query.country)
    served = services.merge.served(wanted.hours_outside_days, wanted.days, form)
    return served.cells(wanted.first, wanted.end, keep, query.country), served, wanted


def envelope(services: Services, served: Served, wanted: Range, query: SpanQuery) -> Answer:
    first, last = wanted.names
    incomplete = services.completeness.incomplete(wanted.utc_dates)
    return {
        "version": served.version,
        "as_of": served.as_of,
        "from": first,
        "to": last,
        "tz": str(wanted.zone),
        "country": getattr(query, "country", None),
        "complete": not incomplete,
        "incomplete_days": incomplete,
    }


def whole_days(wanted: Range) -> list[date]:
    """The days of a range, for a batch view. Raises BadInput for a range by hour."""
    if not wanted.whole_days:
        raise BadInput("from", "this is counted by whole days; give dates, not hours")
    return wanted.dates
