"""The summary of a round as tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rich.columns import Columns
from rich.console import Console
from rich.table import Table

from laptop.demo.summary import Summary

Answer = dict[str, Any]
Rows = Iterable[Iterable[object]]

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def show(summary: Summary, console: Console) -> None:
    """Prints the counts and the seconds, then the answers."""
    console.print(Columns([_counts(summary), _seconds(summary)], padding=(0, 4)))
    tables = [_TABLES[name](answer) for name, answer in summary.statistics.items() if name in _TABLES]
    console.print(Columns(tables, padding=(1, 4)))


def _counts(summary: Summary) -> Table:
    reports = {"sent": summary.sent, "landed": summary.landed, "rejected": summary.rejected}
    rows = [(f"reports {name}", _count(number)) for name, number in reports.items()]
    for name, alerts in (("raised", summary.raised), ("delivered", summary.delivered)):
        rows += [(f"{kind} alerts {name}", _count(number)) for kind, number in alerts.items()]
    return _table("Reports and alerts", ["", ""], [*rows, ("messages in Discord", _count(summary.messages))])


def _seconds(summary: Summary) -> Table:
    return _table("Time", ["step", "seconds"], [(step, f"{took:.1f}") for step, took in summary.seconds.items()])


def _part_of_day(answer: Answer) -> Table:
    hours = {"night": "0 to 5", "morning": "6 to 11", "afternoon": "12 to 17", "evening": "18 to 23"}
    rows = [(f"{part}, {hours.get(part, '')}", _count(alerts)) for part, alerts in answer["parts"].items()]
    return _table("Alerts by part of the day", ["UTC", "alerts"], [*rows, ("total", _count(answer["total"]))])


def _country(answer: Answer) -> Table:
    rows = [(row["country"], _count(row["alerts"]), _count(row["reports"])) for row in answer["countries"]]
    return _table("Countries with the most alerts", ["country", "alerts", "reports"], rows)


def _averages(answer: Answer) -> Table:
    rows = [
        ("reports", _count(answer["reports"])),
        ("battery", _number(answer["battery"], " %")),
        ("peace score", _number(answer["peace_score"])),
    ]
    return _table("Averages", ["", "mean"], rows)


def _weekday(answer: Answer) -> Table:
    rows = [(WEEKDAYS[row["weekday"] - 1], row["days"], _count(row["alerts"]), "") for row in answer["weekdays"]]
    for name, key in (("working days", "working_days"), ("weekend", "weekend")):
        group = answer[key]
        rows.append((name, group["days"], _count(group["alerts"]), _number(group["alerts_per_day"])))
    return _table("Alerts by day of the week", ["", "days", "alerts", "a day"], rows)


def _low_battery(answer: Answer) -> Table:
    rows = []
    for name in ("reports", "drones"):
        part = answer[name]
        share = None if part["share"] is None else 100 * part["share"]
        rows.append((name, _count(part["low"]), _count(part["total"]), _number(share, " %")))
    return _table(f"Battery below {answer['threshold']} %", ["", "low", "of", "share"], rows)


def _peace_score(answer: Answer) -> Table:
    rows = [(row["peace_score"], _count(row["reports"]), _count(row["alerts"])) for row in answer["scores"]]
    return _table("Alerts by peace score", ["score", "reports", "alerts"], rows)


_TABLES: Final = {
    "alerts-by-part-of-day": _part_of_day,
    "alerts-by-country": _country,
    "averages": _averages,
    "alerts-by-weekday": _weekday,
    "low-battery": _low_battery,
    "alerts-by-peace-score": _peace_score,
}


def _table(title: str, columns: list[str], rows: Rows) -> Table:
    """The first column is a name, the others are numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(str, row))
    return table


def _count(number: int) -> str:
    return f"{number:,}"


def _number(number: float | None, unit: str = "") -> str:
    return "–" if number is None else f"{number:,.2f}{unit}"
