"""Who may act: a page of a server with tokens asks for one, says why it is refused, and remembers it in its tab."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from test_duty_room import incident, raise_alert, watch

from tests.support.live_stack import LiveStack


def test_only_an_operators_token_acts(live: LiveStack, page: Page) -> None:
    guarded = live.guard("see-only:viewer,may-act:operator")
    raise_alert(live, "Celle")
    watch(page, f"{guarded}/")
    incident(page, "Celle").locator("button.head").click()
    incident(page, "Celle").get_by_role("button", name="Acknowledge").click()
    dialog, why = page.get_by_role("dialog"), page.locator("#sign-in-why")
    dialog.get_by_label("Your name").fill("Mara Lind")
    for token, said in (("wrong", "a token is needed"), ("see-only", "role operator")):
        dialog.get_by_label("Operator's token").fill(token)
        dialog.get_by_role("button", name="Go on").click()
        expect(why).to_contain_text(said)
        expect(incident(page, "Celle").locator(".meta")).not_to_contain_text("taken up")
    dialog.get_by_label("Operator's token").fill("may-act")
    dialog.get_by_role("button", name="Go on").click()
    expect(incident(page, "Celle").locator(".meta")).to_contain_text("taken up by Mara Lind")
    assert "may-act" not in page.content()
    incident(page, "Celle").get_by_role("button", name="Resolve").click()  # asks nothing any more
    expect(incident(page, "Celle").locator(".meta")).to_contain_text("resolved by Mara Lind")
    expect(dialog).to_be_hidden()
    live.kill("guarded")
