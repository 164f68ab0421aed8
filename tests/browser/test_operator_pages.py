"""Who may act: a page of a server with tokens asks for one, says why it is refused, and remembers it in its tab."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from serving.tokens import SHORTEST
from tests.browser.test_duty_room import incident, raise_alert
from tests.support.live_stack import LiveStack


def test_only_an_operators_token_acts(live: LiveStack, page: Page) -> None:
    viewer, operator = "see-only".ljust(SHORTEST, "-"), "may-act".ljust(SHORTEST, "-")
    guarded = live.guard(API_TOKENS=f"{viewer}:viewer,{operator}:operator")
    raise_alert(live, "Celle")
    page.goto(f"{guarded}/")
    dialog, why = page.get_by_role("dialog"), page.locator("#sign-in-why")
    dialog.get_by_label("Your name").fill("Mara Lind")
    for token in ("wrong", viewer):
        expect(page.locator("#incidents > li")).to_have_count(0)
        dialog.get_by_label("Token").fill(token)
        dialog.get_by_role("button", name="Continue").click()
        if token == "wrong":
            expect(why).to_contain_text("not known")
    expect(page.locator("#live[data-state=live]")).to_be_visible()
    incident(page, "Celle").locator("button.head").click()
    incident(page, "Celle").get_by_role("button", name="Acknowledge").click()
    dialog.get_by_label("Token").fill(viewer)
    dialog.get_by_role("button", name="Continue").click()
    expect(why).to_contain_text("role operator")
    expect(incident(page, "Celle").locator(".meta")).not_to_contain_text("acknowledged")
    dialog.get_by_label("Token").fill(operator)
    dialog.get_by_role("button", name="Continue").click()
    expect(incident(page, "Celle").locator(".meta")).to_contain_text("acknowledged by Mara Lind")
    assert "may-act" not in page.content()
    incident(page, "Celle").get_by_role("button", name="Resolve").click()  # asks nothing any more
    expect(incident(page, "Celle").locator(".meta")).to_contain_text("resolved by Mara Lind")
    expect(dialog).to_be_hidden()
    live.kill("guarded")
