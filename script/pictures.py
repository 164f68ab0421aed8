"""Takes the pictures of docs/pictures: the duty room light and dark, the channel, the newest nightly report, Airflow.

    script/pictures [FOLDER]

Of the demo that answers at the settings' addresses; where none does, one is started, and stopped afterwards.
What is not there (Airflow is not, in a small demo) keeps its picture.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
from playwright.sync_api import Browser, sync_playwright

from infra import settings
from infra.settings import Settings

PICTURES: Final = Path(__file__).parents[1] / "docs" / "pictures"
WIDE: Final = {"width": 1440, "height": 900}
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
            take(browser, channel, folder / "channel.png", CHANNEL)
        airflow = f"http://{loaded.host}:{loaded.airflow_port}"
        if answers(airflow):
            take(browser, airflow, folder / "airflow.png", WIDE)
        browser.close()
        take_report(loaded.web_url, folder / "report.png")


@contextmanager
def demo(loaded: Settings) -> Iterator[None]:
    """A demo that has something to show: incidents, and where it makes one a nightly report."""
    if answers(f"{loaded.web_url}/readyz"):
        yield
        return
    started = subprocess.Popen([sys.executable, "-m", "cli", "demo"])
    try:
        until = time.monotonic() + LONGEST_SECONDS
        while not (has(loaded.web_url, "incidents") and has(loaded.web_url, "nightly-reports", "reports")):
            if started.poll() is not None or time.monotonic() > until:
                raise SystemExit("the demo has nothing to show; its logs are below the home, in log/")
            time.sleep(2)
        yield
    finally:
        started.terminate()
        started.wait(120)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=10, follow_redirects=True).is_success
    except httpx.HTTPError:
        return False


def has(url: str, path: str, name: str | None = None) -> bool:
    """Whether the list of the API at `path` has a row."""
    try:
        return bool(httpx.get(f"{url}/api/v1/{path}", timeout=30).raise_for_status().json()[name or path])
    except httpx.HTTPError:
        return False


def take_page(browser: Browser, url: str, to: Path, scheme: str) -> None:
    """The duty room as it is when all of it is drawn."""
    dark = "dark" if scheme == "dark" else "light"
    with browser.new_context(viewport=WIDE, color_scheme=dark, locale="en-GB") as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url)
        page.locator("#live[data-state=live]").wait_for()
        page.locator("#incidents > li").first.wait_for()
        page.locator("#parts svg").wait_for()
        page.screenshot(path=to, animations="disabled")


def take(browser: Browser, url: str, to: Path, size: dict[str, int]) -> None:
    with browser.new_context(viewport=size, locale="en-GB") as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url, wait_until="networkidle")
        page.screenshot(path=to, animations="disabled")


def take_report(url: str, to: Path) -> None:
    """The newest nightly report, as it is made for Discord."""
    rows = httpx.get(f"{url}/api/v1/nightly-reports", timeout=30).raise_for_status().json()["reports"]
    if rows:
        to.write_bytes(
            httpx.get(f"{url}/api/v1/nightly-reports/{rows[0]['day']}/png", timeout=60).raise_for_status().content
        )


if __name__ == "__main__":
    main()
