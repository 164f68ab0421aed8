"""Facts -> charts, by matplotlib: SVG for the pages, PNG for Discord. The same facts give the same bytes.

Colours are Okabe and Ito's, which colour-blind readers can distinguish (doi:10.1038/nmeth.1618).
"""

from __future__ import annotations

import io
import re
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from serving.report import figures, strings
from serving.report.facts import ScoreCount, WeekdayCount

INK: Final = "#1c2733"
QUIET: Final = "#8a97a3"
QUIET_TEXT: Final = "#5b6874"
ALERT: Final = "#d55e00"
USUAL: Final = "#0072b2"
REPORTS: Final = "#a9c4d6"

_STYLE: Final[Any] = {
    "svg.fonttype": "none",  # text stays text, for selection and screen readers
    "font.family": ["DejaVu Sans"],  # in matplotlib's wheel: the layout does not depend on the machine
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dfe5ea",
    "grid.linewidth": 0.6,
}


def hours(alerts: list[int], usual: list[float]) -> Figure:
    """Alerts by hour of the officers' day, with the usual day of the four weeks before as a line."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.8, 1.65), layout="constrained")
        axes = figure.subplots()
        axes.bar(range(24), alerts, width=0.78, color=ALERT, label=strings.THIS_DAY)
        if any(usual):
            steps = [usual[0], *usual]
            axes.step([hour - 0.5 for hour in range(25)], steps, color=USUAL, linewidth=1.4, label=strings.USUAL_DAY)
        if any(usual) or any(alerts):
            axes.legend(
                frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1.0), borderpad=0, handlelength=1.2
            )
        _mark_the_highest(axes, alerts)
        axes.set_xticks(range(0, 24, 3), [f"{hour:02d}:00" for hour in range(0, 24, 3)])
        axes.set_xlim(-0.7, 23.7)
        _whole_numbers(axes, max([*alerts, *usual], default=0))
        _says(axes, strings.ALERTS_AN_HOUR)
    return figure


def weekdays(counts: list[WeekdayCount]) -> Figure:
    """Alerts a day by weekday; the weekend has another colour."""
    rates = {c.weekday: c.alerts / c.days if c.days else 0.0 for c in counts}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.3, 1.55), layout="constrained")
        axes = figure.subplots()
        colours = [USUAL] * 5 + [ALERT] * 2
        axes.bar(range(1, 8), [rates.get(day, 0.0) for day in range(1, 8)], width=0.7, color=colours)
        axes.set_xticks(range(1, 8), [name[:2] for name in strings.WEEKDAYS])
        _whole_numbers(axes, max(rates.values(), default=0))
        _says(axes, strings.ALERTS_A_DAY)
    return figure


def scores(counts: list[ScoreCount]) -> Figure:
    """Share of reports that raised an alert, by worst peace score."""
    shares = {c.peace_score: 100 * c.alerts / c.reports if c.reports else 0.0 for c in counts}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.3, 1.55), layout="constrained")
        axes = figure.subplots()
        axes.bar(range(1, 11), [shares.get(score, 0.0) for score in range(1, 11)], width=0.7, color=ALERT)
        axes.set_xticks(range(1, 11))
        axes.set_xlabel(strings.SCORE_AXIS)
        _says(axes, strings.SHARE_WITH_ALERT)
        axes.locator_params(axis="y", nbins=4)
        axes.set_ylim(0, max([*shares.values(), 1.0]) * 1.1)
    return figure


def to_svg(figure: Figure, label: str) -> str:
    """An inline `<svg>` with a label, without XML head and date."""
    target = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": label}):  # ids: the same in each run, but not in two charts
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    svg = target.getvalue()
    svg = re.sub(r'<g id="[^"]*"', "<g", svg[svg.index("<svg") :])  # names of parts, the same in each chart
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace("'DejaVu Sans'", "'Noto Sans', 'DejaVu Sans', sans-serif")  # the page's font, where there is one
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def to_png(figure: Figure) -> bytes:
    """A picture for Discord, twice the size for sharp screens."""
    target = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(target, format="png", dpi=200, metadata={"Software": None}, facecolor="white")
    return target.getvalue()


def _says(axes: Any, what: str) -> None:
    """What is counted, in a horizontal line above the axis: easier to read than a vertical label."""
    axes.set_title(what, loc="left", x=0, fontsize=7.5, color=QUIET_TEXT, pad=5)


def _mark_the_highest(axes: Any, alerts: list[int]) -> None:
    highest = max(alerts, default=0)
    if highest:
        axes.annotate(
            figures.count(highest).replace(figures.THIN, "\u2009"),  # the chart's font has this thin space
            (alerts.index(highest), highest),
            ha="center",
            va="bottom",
            fontsize=7.5,
            xytext=(0, 1.5),
            textcoords="offset points",
        )


def _whole_numbers(axes: Any, highest: float) -> None:
    axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    axes.set_ylim(0, max(highest, 1) * 1.15)
