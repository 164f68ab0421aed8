"""Every page for everybody: axe-core finds nothing serious, in both colours, on a big screen and on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from serving.report import facts, render
from serving.report.store import ReportStore, Revision
from tests.support import reports
from tests.support.alert_stack import report
from tests.support.live_stack import LiveStack

PAGES = {
    **{"/": "#incidents > li", "/health": "#landing .value", "/drones/d1": "h1"},
    **{"/reports": ".nightly tbody th", f"/reports/{reports.DAY}": "iframe"},
}
SEVERE = ("serious", "critical")


def violations(page: Page) -> list[tuple[str, list[str]]]:
    violations = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations if each["impact"] in SEVERE]


@pytest.fixture(scope="module", autouse=True)
def _something_to_see(live: LiveStack) -> None:
    live.send(report(910_000 + number, city=f"Axe {number}") for number in range(3))
    made = reports.busy(countries=12)
    forms = {"html": render.to_html(made).encode(), "json": facts.to_json(made), "pdf": b"", "png": b""}
    ReportStore(str(live.home / "lake")).write(Revision(reports.DAY, 0), forms)


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(live: LiveStack, page: Page, path: str) -> None:
    page.goto(path)
    expect(page.locator(PAGES[path]).first).to_be_visible()
    if path == "/":
        page.locator("#incidents button.head").first.click()
        expect(page.locator(".recent li").first).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == [], "phone"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "a phone must not scroll sideways"


def test_the_choice_of_colours_is_kept(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto("/health")
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_role("button", name="Dark colours").click()
    after = page.evaluate(ground)
    page.goto("/reports")
    assert (page.evaluate(ground), before != after) == (after, True)
    expect(page.get_by_role("button", name="Dark colours")).to_have_attribute("aria-pressed", "true")


def nothing_landed(route: Route) -> None:
    """The answer as it is before the first report."""
    answer = route.fetch()
    route.fulfill(response=answer, json={**answer.json(), "version": -1, "as_of": None, "batch_version": None})


def test_where_nothing_has_landed_no_version_is_named(page: Page) -> None:
    page.route("**/api/v1/status", nothing_landed)
    page.route("**/api/v1/statistics/*", nothing_landed)
    page.goto("/health")
    expect(page.locator("#serving .says")).to_have_text("nothing has landed")
    expect(page.locator("#serving .value")).to_have_text("–")
    page.goto("/")
    expect(page.locator("#figures-note")).to_contain_text("(UTC)")
    expect(page.locator("#figures-note")).not_to_contain_text("version")


def test_a_table_shows_that_it_goes_on_beyond_the_edge(page: Page) -> None:
    """By shadows that covers hide at either end: the covers move with the table, the shadows do not."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/health")
    wide = page.locator(".scroll:has(#days)")
    expect(wide).to_have_css("background-attachment", "local, local, scroll, scroll")
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth")
