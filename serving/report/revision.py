"""What a revision changed: the figures of two reports of a day, side by side. Pure."""

from __future__ import annotations

from serving.report import facts, strings


def same(before: facts.DayReport, after: facts.DayReport) -> bool:
    """Whether a second report of a day would say nothing new (when and how it was made aside)."""
    return _content(before) == _content(after)


def changes(before: facts.DayReport, after: facts.DayReport) -> list[facts.Change]:
    """The figures that differ, in the order of the page."""
    old, new = _figures(before), _figures(after)
    return [facts.Change(name, old[name], new[name]) for name in new if old[name] != new[name]]


def _content(report: facts.DayReport) -> tuple[object, ...]:
    skipped = {"making", "revision", "changes"}
    return tuple(getattr(report, name) for name in report.__struct_fields__ if name not in skipped)


def _figures(report: facts.DayReport) -> dict[str, float | None]:
    found: dict[str, float | None] = {
        label: getattr(report.headline, name).value for name, label in strings.FIGURES.items()
    }
    found["incidents"] = report.incidents_total
    found["alerts told"] = report.delivery.told
    found["reports landed late"] = report.quality.late
    found["reports lost at most"] = report.quality.lost
    found["alerts lost at most"] = report.quality.lost_alerts
    found["reports rejected"] = sum(report.quality.rejected.values())
    return found
