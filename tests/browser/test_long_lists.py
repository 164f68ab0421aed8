"""A duty room with more than a page shows: it says so, and gives more; the heat map is there when it is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_duty_room import watch
from tests.support.live_stack import LiveStack

MANY = 430
LAND = "Manyland"


@pytest.fixture
def _many_incidents(live: LiveStack) -> Iterator[None]:
    last = datetime(2026, 11, 24, tzinfo=UTC)
    common = {"kind": "unrest", "state": "open", "country": LAND, "since": last, "alerts": 1, "worst_score": 3}
    rows = [
        {"_id": f"many-{n}", "city": f"City {n}", "severity": "high" if n == MANY - 1 else "moderate", **common}
        | {"last": last - timedelta(seconds=n)}
        for n in range(MANY)
    ]
    with live.documents() as database:
        database.incidents.insert_many(rows)
        yield
        database.incidents.delete_many({"country": LAND})


@pytest.mark.usefixtures("_many_incidents")
def test_a_list_too_long_says_so_and_shows_more(live: LiveStack, page: Page) -> None:
    watch(page, f"/?country={LAND}")
    rows, rest = page.locator("#incidents > li"), page.locator("#incidents-rest")
    expect(rest).to_have_text("The worst 150 of 200 and older ones")
    expect(rows).to_have_count(150)
    page.get_by_role("button", name="Show more").click()
    expect(rest).to_have_text("The worst 300 of 400 and older ones")
    expect(rows).to_have_count(300)
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(MANY)
    expect(rest).to_be_hidden()
    expect(rows.first).to_contain_text(f"City {MANY - 1}")  # the worst was on the last page


def test_alerts_by_place_are_shown_when_wanted_and_the_link_keeps_it(live: LiveStack, page: Page) -> None:
    drawn = """() => {
        const canvas = document.querySelector(".leaflet-heat-pane canvas");
        if (!canvas) return false;
        return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte);
    }"""
    cells = {"latitude_cell": [90], "longitude_cell": [9], "reports": [100], "alerts": [7]}
    with live.documents() as database:
        database.place_days.insert_one({"_id": datetime.now(UTC).date().isoformat(), "version": 3, "cells": cells})
        watch(page)
        button = page.get_by_role("button", name="Alerts by place")
        expect(button).to_have_attribute("aria-pressed", "false")
        assert not page.evaluate(drawn)
        button.click()
        page.wait_for_function(drawn)
        watch(page, page.url)
        expect(button).to_have_attribute("aria-pressed", "true")
        page.wait_for_function(drawn)
        database.place_days.delete_many({})
