"""Newcomers: drones that are too new to the fleet for their alerts to delay those of the others. Pure.

A sender who may write to `reports` can invent a drone with every report. Such alerts are raised and notified like all
others, but after those of drones that the fleet has known for a while: to become one of these takes KNOWN_AFTER and
many reports, so a flood of invented drones has to be prepared for an hour, in the open.

Where the fleet itself is new nobody is a newcomer: all drones are equal until the first of them can be known.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

KNOWN_AFTER: Final = timedelta(hours=1)
"""From its first report until a drone is known: longer than an incident is open, and than operators need to notice
that the fleet grows."""

KNOWN_REPORTS: Final = 30
"""The most reports that it takes: half of an hour's, so that a drone may be out of reach for a while."""

FEWEST_REPORTS: Final = 2
"""The fewest reports that it takes, for drones that report less often than every half hour."""

FLEET_KNOWN_AFTER: Final = 2 * KNOWN_AFTER
"""From the first report of a fleet: drones that came in its first hour have had an hour by then."""


class Newcomer(msgspec.Struct, gc=False):
    """A drone's first report, by the broker's time, and how many it has sent."""

    since: datetime
    reports: int = 1

    def report(self, at: datetime, needed: int) -> bool:
        """Counts a report. Returns whether the drone is known from now on."""
        self.reports += 1
        return self.reports >= needed and at - self.since >= KNOWN_AFTER


def reports_needed(interval: timedelta) -> int:
    """How many reports make a drone known that sends one every `interval`: half of those of KNOWN_AFTER."""
    return max(FEWEST_REPORTS, min(KNOWN_REPORTS, int(KNOWN_AFTER / interval / 2)))
