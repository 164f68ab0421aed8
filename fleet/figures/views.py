"""A day's figures by city, place on the map, delay and kind of alert: cubes of views that only the batch layer has."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from fleet.figures.cube import HOURS, Cube, Measure

CELL_DEGREES: Final = 0.5
"""A place of the heat map: about 55 km north to south. A cell's number is its lower edge in these."""

DELAY_BUCKETS: Final = (1, 5, 15, 60, 300, 900, 3600, 86_400)
"""Upper ends in seconds, from `reported_at` to the broker's time; bucket len(DELAY_BUCKETS) is what was longer."""

CITIES: Final = Cube("city_days", (("country", pa.string()), ("city", pa.string())), HOURS.measures)
PLACES: Final = Cube(
    "place_days",
    (("latitude_cell", pa.int32()), ("longitude_cell", pa.int32())),
    (Measure("reports", "count"), Measure("alerts", "sum", "alert_count")),
)
DELAYS: Final = Cube(
    "delay_days",
    (("delay_bucket", pa.int32()),),
    (Measure("reports", "count"), Measure("alerts", "sum", "alert_count")),
)
ALERTS: Final = Cube(
    "alert_days",
    (("kind", pa.string()), ("severity", pa.string()), ("country", pa.string())),
    (
        Measure("alerts", "sum", "alert_count"),
        Measure("unverified", "sum", "unverified_count"),
        Measure("incidents", "sum", "incident_count"),
    ),
)
"""Of rows of the table `alerts`. Alerts by kind, and the incidents that began with them: an incident's severity is that
of its first alert."""
