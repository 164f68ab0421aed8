"""What the tests of Airflow ask of a laptop whose officers live far east of UTC, and how they look at its pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from playwright.sync_api import Page, sync_playwright

from infra.settings import Settings
from laptop.airflow import server
from laptop.services import catalogue
from laptop.supervision import reaper
from tests.support.laptop import channel, peacewatch

ZONE = ZoneInfo("Pacific/Auckland")
"""Twelve or thirteen hours ahead: nine in the morning there is the evening before in UTC."""

TODAY = datetime.now(ZONE).date()


def days_ago(first: int, last: int) -> list[str]:
    return [str(TODAY - timedelta(days=ago)) for ago in range(first, last - 1, -1)]


DAYS = days_ago(4, 2)
UTC_DAYS = days_ago(5, 3)
MONTHS = {"the command line": days_ago(39, 10), "the browser": days_ago(79, 50)}
MONTH_SECONDS = 900
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
)
PICTURES = os.environ.get("PEACEWATCH_TEST_PICTURES")
"""A folder for pictures of what the browser saw; without it none are made."""


def at(day: str, hour: int) -> datetime:
    """An hour of the officers' day."""
    return datetime.combine(date.fromisoformat(day), time(hour), ZONE)


def report(laptop: Settings, day: str) -> dict[str, Any]:
    answer = httpx.get(f"{laptop.web_url}/api/v1/nightly-reports/{day}/json", timeout=30)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def spark_driver(laptop: Settings) -> int | None:
    """The pid of the JVM that spark-submit runs in."""
    for pid in reaper.marked(f"{laptop.home.resolve()}#"):
        try:
            if b"org.apache.spark.deploy.SparkSubmit" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        except OSError:
            continue
    return None


def spark_log(api: Any, run: str) -> str:
    """What the first try has said; nothing before it began."""
    try:
        return "starting" if "Spark-Submit cmd" in api.log("rebuild_views", run, "aggregate", 1) else ""
    except Exception:  # noqa: BLE001 - there is no log yet
        return ""


def backfill(laptop: Settings, days: list[str]) -> None:
    """Asks for the reports of these days from the command line."""
    peacewatch(
        laptop,
        *("airflow", "backfill", "create", "--dag-id", "nightly_report", "--max-active-runs", "1"),
        *("--from-date", days[0], "--to-date", days[-1]),
    )


def made(laptop: Settings, days: list[str]) -> list[dict[str, Any]]:
    """What the list says of the reports of these days, newest first."""
    answer = httpx.get(f"{laptop.web_url}/api/v1/nightly-reports", params={"limit": 100}, timeout=30)
    return [row for row in answer.raise_for_status().json()["reports"] if row["day"] in days]


def heard(laptop: Settings) -> tuple[int, int]:
    """Messages to operators and to officers so far."""
    return len(channel(laptop, 3)), len(channel(laptop, 4))


def check_month(laptop: Settings, days: list[str], before: tuple[int, int]) -> None:
    """Each day has the report of its own reports, and no message of the thirty went to officers or operators."""
    rows = made(laptop, days)[::-1]
    assert [row["day"] for row in rows] == days
    assert [row["reports"] for row in rows] == [
        {"value": number, "day_before": number - 1 if number > 10 else None} for number in range(10, 10 + len(days))
    ]
    assert {(row["state"], row["revision"]) for row in rows} == {("complete", 0)}
    assert heard(laptop) == before


@contextmanager
def browser_page() -> Iterator[Page]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, locale="en-GB")
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def log_in(page: Page, laptop: Settings, path: str) -> None:
    """A page of Airflow's, for one who has to log in first."""
    found = catalogue.airflow_of(laptop)
    page.goto(found.url + path)
    page.fill("input[name=username]", server.USER)
    page.fill("input[name=password]", found.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url)
    page.goto(found.url + path)


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(2000)  # Airflow's charts and graphs glide into their places
        page.screenshot(path=Path(PICTURES) / f"{name}.png")
