"""Facts -> the report's forms: HTML and PDF, from one template, and a picture. The same facts give the same bytes.

The PDF is made by WeasyPrint from the same HTML; it needs libpango (script/bootstrap installs it).
"""

from __future__ import annotations

import hashlib
import logging
import os
from typing import Any, Final, NoReturn

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fleet.errors import MissingPart
from fleet.figures.statistics import PARTS_OF_DAY
from serving.report import charts, facts, figures, map_svg, strings

TOP_PLACES: Final = 13
TOP_CITIES: Final = 6
TOP_INCIDENTS: Final = 9
"""How many incidents fit on the first page; fewer where it says what is missing, or what a revision changed."""

_templates: Final = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals.update(figures=figures, words=strings)


def to_forms(report: facts.DayReport) -> dict[str, bytes]:
    """The report in each of the store's forms. The charts of the page are drawn once. Raises as `to_pdf`."""
    page = to_html(report)
    return {
        "html": page.encode(),
        "pdf": to_pdf(report, page),
        "png": to_picture(report),
        "json": facts.to_json(report),
    }


def to_html(report: facts.DayReport) -> str:
    """The report as one self-contained page: no script, nothing loaded from elsewhere."""
    return _templates.get_template("report.html").render(report=report, **_parts(report))


def to_pdf(report: facts.DayReport, page: str | None = None) -> bytes:
    """The report as PDF, A4; `page` is its HTML, where that is made already. Raises MissingPart without Pango."""
    try:
        from weasyprint import HTML  # noqa: PLC0415 - loads Pango, which a machine that only reads HTML may lack
    except OSError as error:
        raise MissingPart(f"the PDF needs Pango; install libpango-1.0-0 and libpangoft2-1.0-0 ({error})") from None
    # Else it logs hundreds of warnings: one for each CSS property in the charts that only browsers know.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    # WeasyPrint takes the creation time from here; the report's own time keeps the bytes the same.
    os.environ["SOURCE_DATE_EPOCH"] = str(int(report.making.made_at.timestamp()))
    if page is None:
        page = to_html(report)
    document = HTML(string=page, url_fetcher=_fetch_nothing).render()
    pdf: bytes = document.write_pdf(pdf_identifier=hashlib.sha256(page.encode()).digest()[:16])
    return pdf


def to_picture(report: facts.DayReport) -> bytes:
    """The first chart as PNG, for Discord."""
    return charts.to_png(_hours(report))


def _fit(report: facts.DayReport) -> int:
    return TOP_INCIDENTS - (1 if report.missing else 0) - (4 if report.revision else 0)


def _parts(report: facts.DayReport) -> dict[str, Any]:
    statistics = report.statistics
    return {
        "cards": cards(report.headline),
        "lead": lead(report),
        "verdict": strings.verdict(report.state, report.missing, for_good=report.misses_lost_alone),
        "shown": report.incidents[: _fit(report)],
        "countries": statistics.countries[:TOP_PLACES],
        "cities": [place for place in statistics.cities[:TOP_CITIES] if place.alerts],
        "parts": [
            (name.capitalize(), part.start, part.stop, sum(statistics.alerts_by_hour[part.start : part.stop]))
            for name, part in PARTS_OF_DAY.items()
        ],
        "map": Markup(map_svg.to_svg(report.incidents)),  # noqa: S704 - numbers and our own outlines only
        "hours_chart": _svg(_hours(report), "Alerts by hour of the day"),
        "weekdays_chart": _svg(charts.weekdays(statistics.weekdays), "Alerts a day by week-day"),
        "scores_chart": _svg(charts.scores(statistics.scores), "Share of reports with an alert by peace score"),
        "week": strings.week(_rate(statistics.weekdays, range(1, 6)), _rate(statistics.weekdays, range(6, 8))),
    }


def _rate(counts: list[facts.WeekdayCount], weekdays: range) -> float | None:
    """Alerts a day over the days that had reports."""
    chosen = [count for count in counts if count.weekday in weekdays]
    days = sum(count.days for count in chosen)
    return sum(count.alerts for count in chosen) / days if days else None


def lead(report: facts.DayReport) -> str:
    """The day in one sentence, for the page and Discord."""
    if report.state == "empty":
        return strings.EMPTY_LEAD
    hourly = report.statistics.alerts_by_hour
    total = sum(hourly)
    peak = hourly.index(max(hourly)) if total else None
    raised = [place for place in report.statistics.countries if place.alerts]
    return strings.summary(total, len(raised), peak, raised[0].country if raised else None)


def _hours(report: facts.DayReport) -> Any:
    return charts.hours(report.statistics.alerts_by_hour, report.statistics.usual_by_hour)


def _svg(figure: Any, label: str) -> Markup:
    return Markup(charts.to_svg(figure, label))  # noqa: S704 - matplotlib's own, of numbers and fixed words


def cards(headline: facts.HeadlineFigures) -> list[dict[str, str]]:
    """The five figures as text: label, value, change to the day before and to a usual day."""
    shown_cards = []
    for name, label in strings.FIGURES.items():
        figure: facts.Figure = getattr(headline, name)
        digits = {"peace_score": 2, "battery": 1}.get(name, 0)
        shown = figures.decimal(figure.value, digits) if digits else figures.count(figure.value)
        if name == "battery" and figure.value is not None:
            shown += f"{figures.THIN}%"
        shown_cards.append(
            {
                "label": label,
                "value": shown,
                "day_before": figures.change(figure.value, figure.day_before, digits),
                "usual": figures.change(figure.value, figure.usual, digits),
            }
        )
    return shown_cards


def _fetch_nothing(url: str, *_args: Any, **_kwargs: Any) -> NoReturn:
    raise ValueError(f"a report loads nothing from elsewhere: {url[:60]}")
