"""Signing in and out in a real browser, which decides which cookies go along; and figures for who has not signed in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from serving.tokens import SHORTEST
from tests.browser.test_duty_room import raise_alert
from tests.browser.test_pages import violations
from tests.support import oidc
from tests.support.live_stack import LiveStack

VIEWER = "see-only".ljust(SHORTEST, "-")


@pytest.fixture
def provider() -> Iterator[oidc.Provider]:
    with oidc.provider() as made:
        made.changes = {"end_session_endpoint": None}
        yield made


def single_sign_on(live: LiveStack, provider: oidc.Provider, **settings: str) -> str:
    return live.guard(OIDC_ISSUER=provider.issuer, OIDC_CLIENT_SECRET=oidc.SECRET, **settings)


def is_fine(page: Page) -> None:
    """In both colours, on a big screen and on a phone."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == [], "phone"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "a phone must not scroll sideways"
    page.set_viewport_size({"width": 1440, "height": 900})


def test_person_signs_in_and_out_where_the_provider_has_no_page_for_that(
    live: LiveStack, page: Page, provider: oidc.Provider
) -> None:
    address = single_sign_on(live, provider)
    page.goto(f"{address}/sessions")
    expect(page.locator("#sessions tbody tr")).to_have_count(1)
    other = page.context.new_page()
    other.goto(f"{address}/health")
    expect(other.locator("#signed-in")).to_have_text("Sign out mara")
    page.goto(f"{address}/auth/sign-in?next=/sessions")
    expect(page.locator("#sessions tbody tr")).to_have_count(1)  # the session from before has ended
    page.locator("#signed-in").click()
    expect(page).to_have_url(f"{address}/auth/signed-out")
    expect(page.get_by_role("heading", name="Signed out")).to_be_visible()
    is_fine(page)
    other.reload()
    expect(other.get_by_role("heading", name="Password, please")).to_be_visible()  # no tab signs in by itself
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Continue").click()
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#signed-in")).to_have_text("Sign out mara")
    live.kill("guarded")


def test_two_tabs_sign_in_at_once(live: LiveStack, page: Page, provider: oidc.Provider) -> None:
    address = single_sign_on(live, provider)
    page.goto(f"{address}/sessions")
    page.locator("#signed-in").click()
    expect(page.get_by_role("heading", name="Signed out")).to_be_visible()
    other = page.context.new_page()
    for tab, path in ((page, "/health"), (other, "/sessions")):
        tab.goto(f"{address}{path}")
        expect(tab.get_by_role("heading", name="Password, please")).to_be_visible()
    for tab, path in ((page, "/health"), (other, "/sessions")):
        tab.get_by_role("link", name="Continue").click()
        expect(tab).to_have_url(f"{address}{path}")
        expect(tab.locator("#signed-in")).to_have_text("Sign out mara")
    live.kill("guarded")


@pytest.mark.parametrize(("by", "city"), [("tokens", "Stade"), ("single sign-on", "Uelzen")])
def test_open_figures_ask_nobody_to_sign_in(
    live: LiveStack, page: Page, provider: oidc.Provider, by: str, city: str
) -> None:
    """Each has a city of its own: the drone of an earlier alert is silent after three minutes, an incident as well."""
    asked: list[str] = []
    page.on("response", lambda answer: asked.append(answer.url) if answer.status == 401 else None)
    settings = {"API_OPEN": "figures"}
    address = (
        live.guard(API_TOKENS=f"{VIEWER}:viewer", **settings)
        if by == "tokens"
        else single_sign_on(live, provider, **settings)
    )
    raise_alert(live, city)
    page.goto(f"{address}/health")
    expect(page.locator("#verdict")).to_have_text(re.compile("All layers|Needs attention"))
    expect(page.locator("#verdict")).not_to_contain_text("rejected")
    expect(page.locator("#landing")).to_have_attribute("data-state", re.compile("good|late"))
    expect(page.locator("#rejected:not([data-state])")).to_be_visible()
    expect(page.locator("#signed-in")).to_have_text("Sign in")
    is_fine(page)
    page.goto(f"{address}/")
    expect(page.locator("#figures-only")).to_contain_text("To see incidents, drones and reports, sign in")
    expect(page.locator(".incidents")).to_be_hidden()
    is_fine(page)
    assert asked == [], "nothing is asked for that is refused"
    page.locator("#figures-only").get_by_role("button", name="Sign in").click()
    if by == "tokens":
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Your name").fill("Mara Lind")
        dialog.get_by_label("Token").fill(VIEWER)
        dialog.get_by_role("button", name="Continue").click()
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#incidents > li", has_text=city)).to_be_visible()
    expect(page.locator("#figures-only")).to_be_hidden()
    live.kill("guarded")
