"""The report's pages: the same facts give the same bytes, what came from outside is escaped, every figure is there."""

from __future__ import annotations

import io
import itertools

import msgspec
import pytest
from markupsafe import escape
from pypdf import PdfReader

from serving.report import facts, figures, map_svg, render, strings
from tests.support import reports


def pdf_text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


@pytest.fixture(scope="module")
def busy_pdf() -> bytes:
    """The busy day's PDF, drawn once: it takes seconds."""
    return render.to_pdf(reports.busy())


def test_same_facts_give_the_same_bytes(busy_pdf: bytes) -> None:
    assert render.to_forms(reports.busy())["pdf"] == busy_pdf
    assert render.to_picture(reports.busy()) == render.to_picture(reports.busy())
    assert facts.to_json(reports.busy()) == facts.to_json(reports.busy())


def test_json_is_the_whole_report() -> None:
    assert facts.from_json(facts.to_json(reports.busy())) == reports.busy()


def test_pdf_holds_the_figures_and_every_script(busy_pdf: bytes) -> None:
    text = pdf_text(busy_pdf)
    day = reports.busy()
    assert figures.count(day.headline.reports.value) in text
    assert figures.count(sum(day.statistics.alerts_by_hour)) in text
    for _, city, *_ in reports.PLACES:
        assert city in text


def test_pdf_and_page_say_what_waited_and_why(busy_pdf: bytes) -> None:
    day = reports.busy()
    said = {wait: (strings.WHY[wait.why], figures.count(wait.alerts)) for wait in day.delivery.waits}
    assert len(said) == 4
    shown = " ".join(pdf_text(busy_pdf).split())
    page = render.to_html(day)
    for wait, (why, alerts) in said.items():
        assert f"<td>{why}</td>" in page
        assert f"{why} {strings.KINDS[wait.kind]}, {wait.severity} {alerts}" in shown


def test_first_page_is_enough_and_details_follow(busy_pdf: bytes) -> None:
    pages = PdfReader(io.BytesIO(busy_pdf)).pages
    assert len(pages) == 3
    assert "Worst incidents" in pages[0].extract_text()
    assert "Is this day complete?" in pages[2].extract_text()


def test_changes_and_missing_parts_still_fit_one_page() -> None:
    changed = [facts.Change(f"figure {number}", 12_950_000 + number, 12_960_000) for number in range(12)]
    missing = ["partition 3 is landed up to 2026-11-23 22:10 UTC only"]
    revised = msgspec.structs.replace(
        reports.busy(), revision=1, state="incomplete", missing=missing, changes=changed, timezone="Europe/Paris",
        utc_day=reports.DAY, utc_day_complete=False,
    )  # fmt: skip
    pages = PdfReader(io.BytesIO(render.to_pdf(revised))).pages
    assert len(pages) == 3
    assert "and 6 more" in pages[0].extract_text()
    assert "these are for 23 November UTC, which was not complete" in " ".join(pages[1].extract_text().split())


def test_text_from_outside_is_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    incident = msgspec.structs.replace(reports.busy().incidents[0], city=hostile, severity="critical")
    html = render.to_html(msgspec.structs.replace(reports.busy(), incidents=[incident]))
    assert hostile not in html
    assert "&lt;script&gt;" in html


def with_names(name: str) -> facts.DayReport:
    """A busy day whose every place and drone is called `name`."""
    day = reports.busy()
    replace = msgspec.structs.replace
    statistics = replace(
        day.statistics,
        countries=[replace(place, country=name) for place in day.statistics.countries],
        cities=[replace(place, city=name, country=name) for place in day.statistics.cities],
    )
    drones = replace(
        day.drones,
        worst_batteries=[replace(drone, drone_id=name, country=name) for drone in day.drones.worst_batteries],
        longest_gaps=[replace(drone, drone_id=name, country=name) for drone in day.drones.longest_gaps],
    )
    incidents = [replace(incident, city=name, country=name) for incident in day.incidents]
    return replace(day, statistics=statistics, drones=drones, incidents=incidents)


@pytest.mark.parametrize("letter", ["W", "<"])
def test_names_as_long_as_can_be_fill_no_page(letter: str) -> None:
    name = f"{letter * 199}!"
    report = with_names(name)
    html = render.to_html(report)
    shown = strings.clipped(name)
    assert len(shown) <= strings.LONGEST_NAME
    assert f'<bdi title="{escape(name)}">{escape(shown)}</bdi>' in html
    pdf = render.to_pdf(report)
    assert (
        len(PdfReader(io.BytesIO(pdf)).pages) <= 6
    )  # three with ordinary names; thirty and more when nothing is clipped
    text = "".join(pdf_text(pdf).split())
    assert letter * strings.LONGEST_NAME not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 39 + "\u2026"),
        ("  New \n York\x00 ", "New York"),
        ("a\u202eb\u200d", "ab\u200d"),
    ],
)
def test_a_name_is_clipped_past_its_bound(text: str, shown: str) -> None:
    assert strings.clipped(text) == shown


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = render.to_html(reports.busy())
    for loading in ("<script", "<link", "@import", "src=", "url(http"):
        assert loading not in html


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (reports.empty(), "No drone reported on this day"),
        (msgspec.structs.replace(reports.busy(), state="incomplete", missing=["2 drones"]), "not complete: 2 drones"),
        (msgspec.structs.replace(reports.busy(), revision=2, changes=[facts.Change("alerts", 3, 5)]), "revision 2"),
    ],
)
def test_an_unusual_day_says_so(report: facts.DayReport, said: str) -> None:
    assert said in render.to_html(report)


@pytest.mark.parametrize(
    ("lost", "alerts", "said"),
    [
        (70, 0, "<dd>at most 70</dd>"),
        (0, 1, "<dd>at most 0 <small>alerts: at most 1</small></dd>"),
        (None, None, "<dd>unknown <small>alerts: unknown</small></dd>"),
    ],
)
def test_how_many_were_lost(lost: int | None, alerts: int | None, said: str) -> None:
    day = reports.busy()
    quality = msgspec.structs.replace(day.quality, lost=lost, lost_alerts=alerts, losses=["a gap"])
    html = render.to_html(msgspec.structs.replace(day, quality=quality))
    assert f"<dt>lost before landing</dt>{said}" in html
    assert facts.from_json(facts.to_json(msgspec.structs.replace(day, quality=quality))).quality == quality


def test_an_empty_day_makes_a_report_of_one_page() -> None:
    pdf = render.to_pdf(reports.empty())
    text = pdf_text(pdf)
    assert len(PdfReader(io.BytesIO(pdf)).pages) == 1
    assert "Nothing was received" in text
    assert "nan" not in text.lower().replace("pan", "")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (figures.count(1234), "1234"),
        (figures.wait(71.9), "1\u202fmin\u202f11\u202fs"),
        (figures.wait(3700), "1\u202fh\u202f01"),
        (figures.wait(None), "–"),
        (figures.count(12345), "12\u202f345"),
        (figures.count(-12345.4), "\u221212\u202f345"),
        (figures.count(None), "–"),
        (figures.percent(999, 1000), "99.9\u202f%"),
        (figures.percent(1, 1000), "0.1\u202f%"),
        (figures.percent(0, 5), "0\u202f%"),
        (figures.percent(1, 0), "–"),
        (figures.change(150, 100), "+50\u202f%"),
        (figures.change(5.5, 6.0, 1), "\u22120.5"),
        (figures.change(1, 0), "–"),
        (figures.change(0, 0), "±0"),
        (figures.duration(59), "59\u202fs"),
        (figures.duration(3900), "1\u202fh\u202f05"),
        (figures.duration(90000), "1\u202fd\u202f1\u202fh"),
        (figures.milliseconds(1500), "1.5\u202fs"),
    ],
)
def test_numbers_as_a_newspaper_sets_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_no_outline_crosses_the_whole_map() -> None:
    for ring in map_svg.land().split("M")[1:]:
        points = [float(point.split()[0]) for point in ring.rstrip("Z").split("L") if point]
        steps = [abs(a - b) for a, b in itertools.pairwise(points)]
        assert max(steps, default=0) < 180 * map_svg.SCALE
