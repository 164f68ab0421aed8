"""Every string of the report in one place; a function where a number decides the text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from serving.report import facts, figures

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

KINDS: Final = {
    "unrest": "Unrest",
    "low_battery": "Low battery",
    "watchword": "Watchword heard",
    "silent": "Silent drone",
}

SEVERITIES: Final = ("critical", "high", "moderate")

FIGURES: Final = {
    "reports": "reports received",
    "alerts": "alerts raised",
    "peace_score": "mean peace score",
    "battery": "mean battery",
    "low_drones": "low-battery drones",
}

WHY: Final = {
    "webhook dead": "The webhook no longer existed",
    "unreachable": "Discord did not answer",
    "rate limited": "Discord asked to wait",
    "refused": "Discord refused the message",
    "started": "No notifier was running",
    "raised late": "Raised late: alerting lagged behind the reports",
    "silenced": "Silenced by an operator: counted in a digest",
    "over": "Resolved before it was notified: counted in a digest",
    "digest": "More incidents at once than people can read: counted in a digest",
    "turn": "More severe incidents went first, or its message had just been edited",
    "pending": "Not notified yet",
    "untold": "Not notified yet",  # in reports of version 0.1
}

THIS_DAY: Final = "this day"
USUAL_DAY: Final = "a usual day"
ALERTS_AN_HOUR: Final = "Alerts an hour"
ALERTS_A_DAY: Final = "Alerts a day, mean of four weeks"
SHARE_WITH_ALERT: Final = "Reports with an alert, per cent"
SCORE_AXIS: Final = "worst peace score seen (1 unrest, 10 peace)"

EMPTY_LEAD: Final = "Nothing was received."

EMPTY_DAY: Final = (
    "No drone reported on this day: the figures are zero because nothing arrived, not because all was calm."
)


def several(number: int, singular: str, plural: str | None = None) -> str:
    """The singular or the plural, for a number: `several(1, 'alert')` is 'alert', `several(2, 'alert')` is 'alerts'."""
    return singular if number == 1 else plural or f"{singular}s"


LONGEST_NAME: Final = 40
"""Characters of an untrusted name in a table; a place may have 200. The page's tooltip and the JSON have the rest."""

LONGEST_OF_TWO: Final = 22
"""The same, where two names share a row."""

_JOINERS: Final = "\u200c\u200d"


def clipped(text: str, most: int = LONGEST_NAME) -> str:
    """Untrusted text on one line, without control characters or marks of direction, clipped with an ellipsis."""
    line = " ".join("".join(each for each in text if each.isprintable() or each in _JOINERS or each.isspace()).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "\u2026"


UNKNOWN: Final = "unknown"
SHOWN_CHANGES: Final = 6
SHOWN_DELAYS: Final = 8


def revised(changes: list[facts.Change]) -> str:
    """What a revision changed, in a line."""
    if not changes:
        return "None of the main figures has changed."
    shown = [
        f"{change.figure} {_number(change.before)} \u2192 {_number(change.after)}" for change in changes[:SHOWN_CHANGES]
    ]
    more = len(changes) - len(shown)
    return "; ".join([*shown, *([f"and {more} more, in the JSON"] if more else [])]) + "."


def several_revised(reports: int) -> str:
    return f"{reports} nightly {several(reports, 'report')} rebuilt"


def more_days(days: int) -> str:
    return f"and {days} more {several(days, 'day')}; the reports page lists all."


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return figures.count(value) if value == int(value) else figures.decimal(value, 2)


def verdict(state: str, missing: list[str], *, for_good: bool = False) -> str:
    """The first line: whether the day is complete. `for_good`: what is missing will never arrive."""
    if state == "empty":
        return EMPTY_DAY
    if state == "incomplete":
        reason = "; ".join(missing) or "not every report has landed yet"
        if for_good:
            return f"This day is not complete, and never will be: {reason}."
        return f"This day is not complete: {reason}. The report is rebuilt once it is."
    return "This day is complete: every report that reached Peacewatch is counted, once."


def lost(losses: Sequence[str]) -> str:
    """What was lost before it landed; some of it may belong to the day."""
    return f"Lost, possibly from this day: {'; '.join(losses)}."


def at_most(number: int | None) -> str:
    """How many were lost."""
    return UNKNOWN if number is None else f"at most {figures.count(number)}"


def summary(alerts: int, places: int, peak_hour: int | None, country: str | None) -> str:
    """The day in a sentence."""
    if alerts == 0:
        return "A calm day: no drone raised an alert."
    text = f"{figures.count(alerts)} {several(alerts, 'alert')} in {places} "
    text += several(places, "country", "countries")
    if country and places > 1:
        text += f", most in {clipped(country)}"
    if peak_hour is not None:
        text += f"; the peak was from {peak_hour:02d}:00 to {(peak_hour + 1) % 24:02d}:00"
    return text + "."


def week(working: float | None, weekend: float | None) -> str:
    """Working days against the weekend."""
    return (
        f"Working days {figures.count(working)}, Saturdays and Sundays {figures.count(weekend)} alerts a day, "
        "over the four weeks that end with this day."
    )


def by_utc_day(day: date, complete: bool) -> str:
    """The UTC day of the figures that are kept by UTC day."""
    text = f"Cities, drones and data quality are kept by UTC day; these are for {day.day} {day:%B} UTC"
    return text + (
        "." if complete else ", which was not complete when this report was built. The report is rebuilt once it is."
    )
