"""Reports with one identity: from one drone, with one id and one time in milliseconds (docs/decisions/0046 and 0051).

Landing drops duplicates and rejects conflicts within its window; what is further apart is in the lake, and counted
here. The time is part of the identity, so an hour is counted by itself: a drone that uses its ids again after a reboot
sends new reports.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from fleet.reports.landed import BATTERY_BITS

IDENTITY: Final = ("drone_id", "report_id", "last_state")
"""Landed columns that identity is made of; of `last_state` the time alone."""

CONTENT: Final = (
    *("reported_at", "latitude", "longitude", "battery", "citizens", "message", "alert"),
    *("country", "city", "reported_country", "reported_city"),
)
"""Landed columns of what a report says. Two names of a place are one, where the report is counted under another."""

REPEATS: Final = pa.schema([("event_hour", pa.int32()), ("duplicates", pa.int64()), ("conflicts", pa.int64())])
"""By event hour that has any: rows after the first of an identity that say what one before them says, and the rows that
say something else.
"""

IDENTITY_HASH: Final = f"xxhash64(drone_id, report_id, last_state >> {BATTERY_BITS})"
"""In Spark's SQL. Of an hour's 32 million reports two that differ have one hash once in 35,000 hours."""

CONTENT_HASH: Final = (
    # Zero has two signs in a double, and both are one place.
    "xxhash64(reported_at, latitude + 0.0D, longitude + 0.0D, battery + 0.0D, citizens, message, alert,"
    " coalesce(reported_country, country), coalesce(reported_city, city))"
)
