"""What a revision changed: the figures of two reports of a day, side by side. Pure."""

from __future__ import annotations

from serving.report import facts, strings


def same(before: facts.DayReport, after: facts.DayReport) -> bool:
    """Whether two reports of a day are the same, apart from when and how they were built."""
    return _content(before) == _content(after)


def changes(before: facts.DayReport, after: facts.DayReport) -> list[facts.Change]:
    """The figures that differ, in the order of the page."""
    old, new = _figures(before), _figures(after)
    return [facts.Change(name, old[name], new[name]) for name in new if old[name] != new[name]]


def _content(report: facts.DayReport) -> tuple[object, ...]:
    skipped = {"making", "revision", "changes"}
    return tuple(getattr(report, name) for name in report.__struct_fields__ if name not in skipped)


def _figures(report: facts.DayReport) -> dict[str, float | None]:
    figures: dict[str, float | None] = {
        label: getattr(report.headline, name).value for name, label in strings.FIGURES.items()
    }
    figures["incidents"] = report.incidents_total
    figures["alerts notified"] = report.delivery.notified
    figures["reports landed late"] = report.quality.late
    figures["reports lost at most"] = report.quality.lost
    figures["alerts lost at most"] = report.quality.lost_alerts
    figures["reports rejected"] = sum(report.quality.rejected.values())
    return figures
