"""What a drone sends is text, everywhere: no markup, no mention, no script."""

from __future__ import annotations

import urllib.parse
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.alert_stack import report
from tests.support.live_stack import LiveStack

MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
DRONE = "d/<b id=injected>1</b>"
HOSTILE: dict[str, Any] = {
    "drone_id": DRONE,
    "city": f"<i id=injected>{MARKUP}</i>",
    "country": "<svg/onload=alert(3)>",
    "message": f"**bold** [x](javascript:alert(4)) @everyone <@1> {MARKUP}",
    "citizens": [{"name": f"<u id=injected>{MARKUP}</u>", "peace_score": 1}],
}


def assert_nothing_injected(page: Page) -> None:
    assert page.locator("#injected, main img, [onerror], [onload], a[href^='javascript']").count() == 0
    assert page.evaluate("[...document.scripts].every((each) => each.src.startsWith(location.origin))")


def test_a_hostile_report_is_text_everywhere(live: LiveStack, page: Page) -> None:
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    live.send([report(900_000, **HOSTILE)])
    item = page.locator("#incidents > li", has_text="<svg/onload=alert(3)>")
    expect(item).to_contain_text("**bold** [x](javascript:alert(4)) @everyone")
    item.locator("button.head").click()
    expect(item.locator("dl")).to_contain_text(f"<u id=injected>{MARKUP}</u>")
    expect(item.locator(".recent li")).to_have_count(1)
    mark = page.locator(".incident-mark[aria-label*='onload']")
    mark.hover()
    expect(page.locator(".leaflet-tooltip")).to_contain_text("<svg/onload=alert(3)>")
    expect(page.locator("#alerts tbody tr", has_text=DRONE)).to_have_count(1)
    assert_nothing_injected(page)
    item.locator("dl").get_by_role("link", name=DRONE).click()
    page.wait_for_url(f"**/drones/{urllib.parse.quote(DRONE, safe='')}")
    expect(page.locator("h1")).to_have_text(DRONE)
    expect(page.locator("#alerts tbody tr")).to_contain_text("@everyone")
    assert_nothing_injected(page)


def test_a_hostile_reject_is_text_on_the_health_page(live: LiveStack, page: Page) -> None:
    facts = [("reason", MARKUP.encode()), ("detail", f"<b id=injected>{MARKUP}</b>".encode())]
    live.producer.send("reports.rejected", f"<i id=injected>{MARKUP}\xff".encode("latin-1"), headers=facts).get(30)
    page.goto("/health")
    row = page.locator("#rejected-messages tbody tr").first
    expect(row).to_contain_text(f"<i id=injected>{MARKUP}")
    expect(row).to_contain_text(f"<b id=injected>{MARKUP}</b>")
    expect(page.locator("#rejected .value")).to_have_text("1")
    assert_nothing_injected(page)
