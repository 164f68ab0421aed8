"""The modules of the pages by themselves, in a real Chromium: addresses, texts, numbers, charts and tracks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from serving.app import create_app
from serving.config import Config


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server of the modules; it needs no database for that."""
    app = create_app(Config(mongo_uri="mongodb://127.0.0.1:1/nothing?connect=false"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["peacewatch"].close()


@pytest.fixture(scope="module")
def one_page(chromium: Browser, address: str) -> Iterator[Page]:
    """A page of our own origin without any script; it shows the icon first, which is all that Chromium asks for."""
    with chromium.new_context(base_url=address, timezone_id="Asia/Tokyo") as context:
        page = context.new_page()
        page.goto("/static/icon.svg")
        yield page


@pytest.fixture
def module_page(one_page: Page) -> Iterator[Page]:
    """That page, loaded again: each test has a document and modules of its own."""
    one_page.goto("/healthz")
    yield one_page
    one_page.unroute_all()
    one_page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")


def run(page: Page, module: str, code: str, given: Any = None) -> Any:
    """What `code` returns, with the exports of `module` as `m` and `given` as `given`."""
    return page.evaluate(
        f"async (given) => {{ const m = await import('/static/{module}'); {code} }}",
        given,
    )


PLACE = "const place = document.createElement('div'); document.body.append(place);"


STYLED = '<!doctype html><link rel="stylesheet" href="/static/base.css"><body>'


def test_long_text_is_cut_and_stays_open_once_opened(module_page: Page) -> None:
    """By characters, of which an emoji is one; a short text is itself. With the pages' style, which could show all."""
    module_page.route("**/healthz", lambda route: route.fulfill(content_type="text/html", body=STYLED))
    module_page.reload()
    code = f"{PLACE} place.append(m.spoken(given)); return [place.innerText, place.querySelector('details') === null]"
    assert run(module_page, "dom.js", code, "é" * 280) == ["é" * 280, True]
    module_page.reload()
    assert run(module_page, "dom.js", code, "😀" * 281) == ["😀" * 280 + " … 1 more characters", False]
    module_page.locator("summary").click()
    expect(module_page.locator("details")).to_have_attribute("open", "")
    assert module_page.locator("details").inner_text().count("😀") == 281
    again = f"{PLACE} place.id = 'again'; place.append(m.spoken(given)); return place.querySelector('details').open"
    assert run(module_page, "dom.js", again, "😀" * 281)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((-5, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (3599, "59 min ago"), (3600, "1 h ago")),
        *((48 * 3600 - 1, "47 h ago"), (48 * 3600, "2 days ago")),
    ],
)
def test_ago_is_in_the_largest_unit(module_page: Page, seconds: int, shown: str) -> None:
    code = "return m.ago('2026-11-24T12:00:00Z', Date.parse('2026-11-24T12:00:00Z') + given * 1000)"
    assert run(module_page, "dom.js", code, seconds) == shown


def test_text_is_never_markup(module_page: Page) -> None:
    code = f"{PLACE} place.append(m.el('p', {{ title: given }}, given)); "
    code += "return [place.children[0].children.length, place.textContent]"
    assert run(module_page, "dom.js", code, "<img src=x onerror=alert(1)>") == [0, "<img src=x onerror=alert(1)>"]


def test_attributes_that_are_empty_are_left_out(module_page: Page) -> None:
    code = "return m.el('a', { href: null, hidden: true, id: undefined, class: false, title: 0 }).outerHTML"
    assert run(module_page, "dom.js", code) == '<a hidden="" title="0"></a>'


@pytest.mark.parametrize("drone", ["PW-1", "a/days", "100%", "a b?c#d", "ü"])
def test_a_drones_link_is_one_segment(module_page: Page, drone: str) -> None:
    path: str = run(module_page, "dom.js", "return new URL(m.droneLink(given), location).pathname", drone)
    assert path.count("/") == 2


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"city": "Lyon", "country": "France"}, "Lyon, France"),
        ({"city": "unknown", "country": "France"}, "France"),
        ({"city": "", "country": "unknown"}, "Place unknown"),
    ],
)
def test_a_place_is_what_is_known_of_it(module_page: Page, row: dict[str, str], shown: str) -> None:
    assert run(module_page, "dom.js", "return m.placeOf(given)", row) == shown


def test_the_address_is_the_state(module_page: Page) -> None:
    code = """
      m.keep({ country: given, state: "all" });
      m.keep({ state: "", from: null });
      return [m.state(), location.search];
    """
    state, search = run(module_page, "state.js", code, "Côte d'Ivoire & more")
    assert state == {"country": "Côte d'Ivoire & more"}
    assert "state" not in search


@pytest.mark.parametrize(("value", "top"), [(0, 1), (1, 1), (7, 8), (10, 10), (11, 15), (999, 1000), (1001, 1500)])
def test_an_axis_ends_at_a_round_number(module_page: Page, value: int, top: int) -> None:
    assert run(module_page, "charts.js", "return m.top(given)", value) == top


def test_a_gap_in_a_line_is_not_drawn_over(module_page: Page) -> None:
    points = [{"x": 0, "y": 1}, {"x": 1, "y": None}, {"x": 2, "y": 1}, {"x": 3, "y": 1}]
    drawn = run(module_page, "charts.js", "return m.path(given, ({ x, y }) => [x, y])", points)
    assert drawn == "M0.0 1.0M2.0 1.0L3.0 1.0"


LINE = f"{PLACE} place.style.width = '400px'; m.line(place, given, {{ says: 'x' }});"


def points(*values: float | None) -> list[dict[str, Any]]:
    return [{"name": f"2026-11-24T{hour:02}", "y": value} for hour, value in enumerate(values)]


def test_a_line_ends_where_there_is_no_data_yet(module_page: Page) -> None:
    code = f"{LINE} return place.querySelector('path.line').getAttribute('d')"
    whole: str = run(module_page, "charts_line.js", code, points(1, 2, 3, 4))
    day: str = run(module_page, "charts_line.js", code, points(1, 2, None, None))
    assert (whole.count("L"), day.count("L")) == (3, 1)
    area = f"{LINE} return place.querySelectorAll('path.area').length"
    assert run(module_page, "charts_line.js", area, points(1, 2, None, None)) == 1
    assert run(module_page, "charts_line.js", area, points(1, None, 2, None)) == 0


def test_within_one_hour_every_label_differs(module_page: Page) -> None:
    minutes = [{"name": f"2026-11-24T16:{minute:02}", "y": minute} for minute in range(0, 60, 5)]
    code = f"{LINE} return [...place.querySelectorAll('svg text')].map((text) => text.textContent)"
    labels = [label for label in run(module_page, "charts_line.js", code, minutes) if ":" in label]
    assert len(labels) > 1
    assert len(set(labels)) == len(labels)
    assert all(label.startswith("16:") for label in labels)


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("UTC", "2026-11-24T23"), ("Europe/Paris", "2026-11-25T00"), ("America/New_York", "2026-11-24T18")],
)
def test_hours_to_come_are_those_of_the_charts_zone(module_page: Page, zone: str, hour: str) -> None:
    assert run(module_page, "figures.js", "return m.hourIn(given, '2026-11-24T23:30:00Z')", zone) == hour


def test_a_track_over_the_antimeridian_goes_on_the_shorter_way(module_page: Page) -> None:
    rows = [{"latitude": 1, "longitude": longitude} for longitude in (178, 179.5, -179, -178)]
    rows.insert(2, {"latitude": 0, "longitude": 0})
    longitudes = run(module_page, "map_track.js", "return m.placed(given).map((row) => row.at[1])", rows)
    assert longitudes == [178, 179.5, 181, 182], "and what has no fix is left out"
