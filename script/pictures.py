"""Takes the pictures of docs/pictures: the duty room light and dark, the channel, the newest nightly report, Airflow.

    script/pictures [FOLDER]

They are taken from the demo that answers at the settings' addresses; if none does, one is started, and stopped
afterwards. A demo without Airflow leaves Airflow's picture as it is. If the demo has no whole day with reports yet, the
report is a made-up one from the tests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from infra import settings
from infra.settings import Settings
from laptop.airflow import server
from laptop.services import catalogue
from serving.report import render
from tests.support.reports import busy
from tests.support.waiting import answers

PICTURES: Final = Path(__file__).parents[1] / "docs" / "pictures"
WIDE: Final = {"width": 1440, "height": 900}
SHEET: Final = {"width": 744, "height": 1052}
"""A4, as the report's PDF is."""

CHANNEL: Final = {"width": 900, "height": 900}
LONGEST_SECONDS: Final = 1200
"""A demo's first round, with a nightly report, on a busy laptop."""

FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1:] else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    loaded = settings.load()
    with demo(loaded), sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        for name, scheme in (("page", "light"), ("page-dark", "dark")):
            take_page(browser, loaded.web_url, folder / f"{name}.png", scheme)
        channel = f"http://{loaded.host}:{loaded.discord_port}"
        if answers(channel):
            take_channel(browser, channel, folder / "channel.png")
        airflow = f"http://{loaded.host}:{loaded.airflow_port}"
        if answers(airflow):
            take_airflow(browser, airflow, password_of(loaded), folder / "airflow.png")
        take_report(browser, loaded.web_url, folder / "report.png")
        browser.close()


@contextmanager
def demo(loaded: Settings) -> Iterator[None]:
    """Waits for a demo that has something to show: incidents, and a nightly report."""
    if answers(f"{loaded.web_url}/readyz"):
        yield
        return
    started = subprocess.Popen([sys.executable, "-m", "cli", "demo"])
    try:
        until = time.monotonic() + LONGEST_SECONDS
        while not (has(loaded.web_url, "incidents") and has(loaded.web_url, "nightly-reports", "reports")):
            if started.poll() is not None or time.monotonic() > until:
                raise SystemExit("the demo has nothing to show; its logs are in log/ of its home")
            time.sleep(2)
        yield
    finally:
        started.terminate()
        started.wait(120)


def has(url: str, path: str, name: str | None = None) -> bool:
    """Whether the list of the API at `path` has a row."""
    try:
        return bool(httpx.get(f"{url}/api/v1/{path}", timeout=30).raise_for_status().json()[name or path])
    except httpx.HTTPError:
        return False


def take_page(browser: Browser, url: str, to: Path, scheme: str) -> None:
    """The duty room, once all of it is drawn."""
    dark = "dark" if scheme == "dark" else "light"
    with browser.new_context(viewport=WIDE, color_scheme=dark, locale="en-GB") as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url)
        page.locator("#live[data-state=live]").wait_for()
        page.locator("#incidents > li").first.wait_for()
        page.locator("#parts svg").wait_for()
        page.screenshot(path=to, animations="disabled")
    make_smaller(to)


def take_channel(browser: Browser, url: str, to: Path) -> None:
    """The stand-in's channel, at its newest incident."""
    with browser.new_context(viewport=CHANNEL, locale="en-GB") as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url, wait_until="networkidle")
        newest = page.locator("text=/^Unrest in/").last
        newest.wait_for()
        newest.scroll_into_view_if_needed()
        page.screenshot(path=to, animations="disabled")
    make_smaller(to)


def take_airflow(browser: Browser, url: str, password: str, to: Path) -> None:
    """The list of DAGs, after signing in."""
    with browser.new_context(viewport=WIDE, locale="en-GB") as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{url}/auth/login?next=%2Fdags", wait_until="networkidle")
        page.locator("input[name=username]").fill(server.USER)
        page.locator("input[name=password]").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.locator("text=nightly_report").last.wait_for(timeout=120_000)  # Airflow reads the DAGs a while after it
        page.wait_for_load_state("networkidle")
        page.screenshot(path=to, animations="disabled")
    make_smaller(to)


def password_of(loaded: Settings) -> str:
    """Airflow's password in the newest demo, each of which has its own home; the stack's if there is no demo."""
    usual = catalogue.airflow_of(loaded)
    homes = [usual.home, *sorted((loaded.home / "demo").glob("*/airflow"))]
    return replace(usual, home=homes[-1]).password


def make_smaller(picture: Path) -> None:
    """A page has few colours: a palette halves its picture."""
    Image.open(picture).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(picture, optimize=True)


def take_report(browser: Browser, url: str, to: Path) -> None:
    """The top of the newest nightly report that has something to show; else that of a made-up day."""
    listed = httpx.get(f"{url}/api/v1/nightly-reports", timeout=30).raise_for_status().json()["reports"]
    days = [row["day"] for row in listed if row["state"] != "empty"]
    with browser.new_context(viewport=SHEET, locale="en-GB") as context:  # type: ignore[arg-type]
        page = context.new_page()
        if days:
            page.goto(f"{url}/api/v1/nightly-reports/{days[0]}/html")
        else:
            page.set_content(render.to_html(busy()))
        page.screenshot(path=to, animations="disabled")
    make_smaller(to)


if __name__ == "__main__":
    main()
