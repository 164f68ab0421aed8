"""The duty room in a real browser: what happens shows without a reload, once, and operators act in place."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from tests.support.alert_stack import report
from tests.support.live_stack import LiveStack


def watch(page: Page, path: str = "/") -> None:
    """Opens the page and waits until its stream is open."""
    page.goto(path)
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("window.neverReloaded = true")


def incident(page: Page, city: str) -> Locator:
    return page.locator("#incidents > li", has=page.locator(".place", has_text=f"{city},"))


def raise_alert(live: LiveStack, city: str, **changes: Any) -> None:
    live.sent += 1
    live.send([report(live.sent, city=city, **changes)])


def test_an_alert_is_on_the_map_and_in_the_list_without_a_reload(live: LiveStack, page: Page) -> None:
    watch(page)
    raise_alert(live, "Bremen", message="they are at the gate")
    expect(incident(page, "Bremen")).to_contain_text("they are at the gate")
    expect(page.locator(".incident-mark[aria-label*='Bremen, Germany']")).to_be_visible()
    expect(page.locator("#alerts tbody tr", has_text="they are at the gate")).to_have_count(1)
    raise_alert(live, "Bremen", message="now they are inside")
    expect(incident(page, "Bremen").locator(".count")).to_have_text("2 alerts")
    expect(page.locator(".incident-mark[aria-label*='Bremen, Germany: 2 alerts, growing']")).to_be_visible()
    assert page.evaluate("window.neverReloaded")


NAMES = """() => {
    const boxes = (tag) => [...document.querySelectorAll(`.incident-mark ${tag}`)].filter((part) =>
        part.getBoundingClientRect().width && getComputedStyle(part).visibility === "visible");
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const names = boxes("b"), others = [...names, ...boxes("i")];
    const over = names.filter((name) => others.some((other) => other !== name
        && meet(name.getBoundingClientRect(), other.getBoundingClientRect())));
    return {names: names.map((name) => name.textContent), over: over.map((name) => name.textContent)};
}"""


def test_names_on_the_map_cover_neither_dots_nor_names(live: LiveStack, page: Page) -> None:
    """Six critical incidents in the far south, where no other test has any, nearer than their names are long."""
    watch(page)
    for number in range(6):
        place = {"latitude": -45.0, "longitude": -30.0 + 3 * number}
        raise_alert(live, f"Southern City {number}", citizens=[{"name": "Ada", "peace_score": 1}], **place)
        expect(page.locator(f".incident-mark[aria-label*='Southern City {number}']")).to_be_visible()
    shown = page.evaluate(NAMES)
    southern = [name for name in shown["names"] if name.startswith("Southern City")]
    assert 1 <= len(southern) < 6
    assert shown["over"] == []


def test_an_alert_that_comes_while_the_list_is_on_its_way_stays_in_it(live: LiveStack, page: Page) -> None:
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/api/v1/alerts?*", lambda route: held.append((route, route.fetch())))
    watch(page)
    while not held:
        page.wait_for_timeout(50)
    raise_alert(live, "Leer", message="after the answer was made")
    expect(page.locator("#alerts tbody tr", has_text="after the answer was made")).to_have_count(1)
    ((route, answer),) = held
    route.fulfill(response=answer)
    expect(page.locator("#alerts-csv")).to_have_attribute("href", re.compile("limit=500"))  # the answer is shown
    expect(page.locator("#alerts tbody tr", has_text="after the answer was made")).to_have_count(1)


def test_after_a_restart_of_the_server_nothing_is_missing_and_nothing_twice(live: LiveStack, page: Page) -> None:
    watch(page)
    raise_alert(live, "Kiel", message="before the restart")
    expect(page.locator("#alerts tbody tr", has_text="before the restart")).to_have_count(1)
    live.kill("serve")
    expect(page.locator("#live")).to_have_text("Reconnecting")
    for number in range(3):
        raise_alert(live, "Kiel", message=f"while it was away {number}")
    live.serve()
    expect(page.locator("#live")).to_have_text("Live")
    raise_alert(live, "Kiel", message="after the restart")
    expect(page.locator("#alerts tbody tr", has_text="after the restart")).to_have_count(1)
    expect(page.locator("#alerts tbody tr", has_text="while it was away")).to_have_count(3)
    expect(incident(page, "Kiel")).to_have_count(1)
    expect(incident(page, "Kiel").locator(".count")).to_have_text("5 alerts")
    assert page.evaluate("window.neverReloaded")


def test_acknowledging_changes_the_message_in_discord(live: LiveStack, page: Page) -> None:
    watch(page)
    raise_alert(live, "Emden")
    incident(page, "Emden").locator("button.head").click()
    incident(page, "Emden").get_by_label("Note").fill("patrol 7 is on its way")
    incident(page, "Emden").get_by_role("button", name="Acknowledge").click()
    page.get_by_label("Your name").fill("Mara Lind")
    page.get_by_role("button", name="Continue").click()
    expect(incident(page, "Emden").locator(".meta")).to_contain_text("acknowledged by Mara Lind")
    (message,) = [each for each in live.messages() if "Emden" in json.dumps(each)]
    assert "Mara Lind" in json.dumps(message)
    assert "patrol 7 is on its way" in json.dumps(message)
    expect(incident(page, "Emden").locator(".deliveries summary")).to_contain_text("1 posted, 1 edited")
    incident(page, "Emden").locator(".deliveries summary").click()
    expect(incident(page, "Emden").locator(".deliveries li").first).to_contain_text("edited · 1 alert")
    incident(page, "Emden").get_by_role("button", name="Resolve").click()
    expect(incident(page, "Emden").locator(".meta")).to_contain_text("resolved by Mara Lind")


def test_a_silence_is_made_and_ended_in_place(live: LiveStack, page: Page) -> None:
    watch(page)
    raise_alert(live, "Goslar")
    incident(page, "Goslar").locator("button.head").click()
    incident(page, "Goslar").get_by_role("button", name="Silence…").click()
    incident(page, "Goslar").get_by_role("button", name="Silence", exact=True).click()
    page.get_by_label("Your name").fill("Mara")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Silences (1)").click()
    expect(page.locator("#silence-list li")).to_contain_text("unrest in Goslar, Germany until")
    page.locator("#silence-list").get_by_role("button", name="End").click()
    expect(page.locator("#silence-list")).to_contain_text("No silences in force")


def test_a_link_keeps_its_filters(live: LiveStack, page: Page) -> None:
    watch(page)
    raise_alert(live, "Jena", citizens=[{"name": "Ada", "peace_score": 1}])
    raise_alert(live, "Gera", citizens=[{"name": "Ada", "peace_score": 9}])
    expect(incident(page, "Jena")).to_be_visible()
    expect(incident(page, "Gera")).to_be_visible()
    page.get_by_label("Severity").select_option("critical")
    expect(incident(page, "Gera")).to_have_count(0)
    page.locator("#range").get_by_label("Country").fill("Germany")
    page.get_by_role("button", name="Show").click()
    assert "severity=critical" in page.url
    assert "country=Germany" in page.url
    watch(page, page.url)
    expect(incident(page, "Jena")).to_be_visible()
    expect(incident(page, "Gera")).to_have_count(0)
    expect(page.get_by_label("Severity")).to_have_value("critical")
    raise_alert(live, "Jena", country="Atlantis", message="from elsewhere")
    raise_alert(live, "Jena", message="from here", citizens=[{"name": "Ada", "peace_score": 1}])
    expect(page.locator("#alerts tbody tr", has_text="from here")).to_have_count(1)
    expect(page.locator("#alerts tbody tr", has_text="from elsewhere")).to_have_count(0)


def test_the_list_is_used_by_keyboard_and_keeps_its_place(live: LiveStack, page: Page) -> None:
    watch(page)
    raise_alert(live, "Plauen")
    expect(incident(page, "Plauen")).to_be_visible()
    head = incident(page, "Plauen").locator("button.head")
    head.focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Tab")  # the first drone's link
    page.keyboard.press("Tab")
    note = incident(page, "Plauen").get_by_label("Note")
    note.focus()
    page.keyboard.type("half a no")
    raise_alert(live, "Zwickau", citizens=[{"name": "Ada", "peace_score": 1}])
    expect(incident(page, "Zwickau")).to_be_visible()  # worse: it moves above
    expect(note).to_be_focused()
    page.keyboard.type("te")
    expect(note).to_have_value("half a note")
