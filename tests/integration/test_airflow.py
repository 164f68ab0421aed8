"""Airflow as operators have it, on PostgreSQL where that is installed: a killed Spark job, a backfill of three days,
late reports, a run that is late; and its own pages in a real Chromium. All by its own scheduler, started once."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy
from playwright.sync_api import Page, expect, sync_playwright

from stack import airflow, leftovers, services
from stack.settings import Settings
from tests import postgres
from tests.laptop import RUN_SECONDS, api_of, channel, eventually, log, new, peacewatch, ran, reports, simulate, up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

TODAY = datetime.now(UTC)
DAYS = [f"{TODAY - timedelta(days=ago):%Y-%m-%d}" for ago in (4, 3, 2)]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
)
PICTURES = os.environ.get("PEACEWATCH_TEST_PICTURES")
"""A folder for pictures of what the browser saw; without it none are made."""


@pytest.fixture(scope="module")
def database() -> Iterator[str | None]:
    """The URL of a real PostgreSQL; None where it is not installed."""
    programs = postgres.programs()
    if programs is None:
        yield None
        return
    with postgres.serving(programs) as url:
        yield url


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory, database: str | None) -> Settings:
    return new(tmp_path_factory.mktemp("laptop"), **({"airflow_database": database} if database else {}))


@pytest.fixture(scope="module", autouse=True)
def stack(laptop: Settings) -> Iterator[subprocess.Popen[str]]:
    with up(laptop) as process:
        for day, number in zip(DAYS, (300, 400, 500), strict=True):
            simulate(laptop, number, f"{day}T08:00:00Z")
        yield process


def report(laptop: Settings, day: str) -> dict[str, Any]:
    answer = httpx.get(f"{laptop.web_url}/api/v1/nightly-reports/{day}/json", timeout=30)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def spark_driver(laptop: Settings) -> int | None:
    """The pid of the JVM that spark-submit runs in."""
    for pid in leftovers.marked(f"{laptop.home.resolve()}#"):
        try:
            if b"org.apache.spark.deploy.SparkSubmit" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        except OSError:
            continue
    return None


def test_a_killed_spark_job_is_tried_again(laptop: Settings) -> None:
    with closing(api_of(laptop)) as api:
        eventually(lambda: api.knows("rebuild_views"))
        run = api.trigger("rebuild_views", {"first": DAYS[0], "last": DAYS[-1]})
        eventually(lambda: "starting" in _spark_log(api, run) and spark_driver(laptop) is not None, RUN_SECONDS)
        pid = spark_driver(laptop)
        assert pid
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: api.state("rebuild_views", run) in {"success", "failed"}, RUN_SECONDS)
        assert api.state("rebuild_views", run) == "success"
        assert "Task failed" in api.log("rebuild_views", run, "aggregate", 1)
        assert re.search(r"hours: \d+ computed", api.log("rebuild_views", run, "aggregate", 2))
    assert reports(laptop, DAYS[0], DAYS[-1]) == 1200


def _spark_log(api: Any, run: str) -> str:
    """What the first try has said; nothing before it began."""
    try:
        return "starting" if "Spark-Submit cmd" in api.log("rebuild_views", run, "aggregate", 1) else ""
    except Exception:  # noqa: BLE001 - there is no log yet
        return ""


def test_three_days_are_backfilled_from_the_command_line(laptop: Settings) -> None:
    ran(laptop, ("hourly_views", {}))
    peacewatch(
        laptop,
        *("airflow", "backfill", "create", "--dag-id", "nightly_report", "--max-active-runs", "1"),
        *("--from-date", DAYS[0], "--to-date", DAYS[-1]),
    )

    def made() -> list[str]:
        listed = httpx.get(f"{laptop.web_url}/api/v1/nightly-reports", timeout=30).raise_for_status().json()["reports"]
        return [row["day"] for row in listed if row["day"] in DAYS]

    eventually(lambda: made() == DAYS[::-1], RUN_SECONDS)
    found = [report(laptop, day) for day in DAYS]
    assert [one["headline"]["reports"]["value"] for one in found] == [300, 400, 500]
    assert [one["headline"]["reports"]["day_before"] for one in found] == [None, 300, 400]
    assert {one["state"] for one in found} == {"complete"}


def test_late_reports_revise_a_report(laptop: Settings) -> None:
    """After the days' own reports of the test before."""
    simulate(laptop, 77, f"{DAYS[1]}T20:00:00Z")
    ran(laptop, ("hourly_views", {}))
    (run,) = ran(laptop, ("nightly_report", {"day": DAYS[-1]}))
    assert f"{DAYS[1]}: revision 1 made" in log(laptop, "nightly_report", run, "revise")
    revised = report(laptop, DAYS[1])
    changed = {change["figure"]: (change["before"], change["after"]) for change in revised["changes"]}
    assert (revised["revision"], changed["reports received"]) == (1, (400, 477))
    titles = [message["embeds"][0]["title"] for message in channel(laptop, 4)]
    assert sum("revision 1" in title for title in titles) >= 1


def test_operators_hear_of_a_late_run_with_the_way_to_its_log(laptop: Settings) -> None:
    """Today is not over, so its report waits; its deadline is moved to now."""
    with closing(api_of(laptop)) as api:
        run = api.trigger("nightly_report", {"day": f"{datetime.now(UTC):%Y-%m-%d}"})
        eventually(lambda: api.state("nightly_report", run) == "running", RUN_SECONDS)
        engine = sqlalchemy.create_engine(
            services.airflow_of(laptop).environment()["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        )
        past = (
            "UPDATE deadline SET deadline_time = '2026-01-01 00:00:00.000000' "
            "WHERE dagrun_id = (SELECT id FROM dag_run WHERE run_id = :run)"
        )
        with engine.begin() as connection:
            assert connection.execute(sqlalchemy.text(past), {"run": run}).rowcount == 1
        engine.dispose()
        late = r"nightly\_report is late"
        eventually(lambda: late in [message["embeds"][0]["title"] for message in channel(laptop, 3)], RUN_SECONDS)
        told = next(one["embeds"][0] for one in channel(laptop, 3) if one["embeds"][0]["title"] == late)
        assert "should have ended by 2026" in told["description"].replace("\\", "")
        address = f"http://{laptop.host}:{laptop.airflow_port}/dags/nightly_report/runs/"
        assert told["url"].startswith(address)
        assert httpx.get(told["url"], timeout=30).is_success
        api.end("nightly_report", run)


def test_its_database_is_postgresql(laptop: Settings, database: str | None) -> None:
    if database is None:
        pytest.skip("PostgreSQL is not installed")
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT DISTINCT dag_id FROM dag_run WHERE state = 'success'").fetchall()
    assert {name for (name,) in rows} >= {"hourly_views", "nightly_report", "rebuild_views"}
    assert not (laptop.home / "airflow" / "airflow.db").exists()


@pytest.fixture
def page() -> Iterator[Page]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, locale="en-GB")
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_an_operator_rebuilds_days_in_the_browser(laptop: Settings, page: Page) -> None:
    found = services.airflow_of(laptop)
    page.goto(f"{found.url}/dags/rebuild_views")
    page.fill("input[name=username]", airflow.USER)
    page.fill("input[name=password]", found.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url)
    page.goto(f"{found.url}/dags/rebuild_views")

    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    days = form.locator("input[type=date]")
    expect(days).to_have_count(2)
    expect(form.get_by_role("button", name="Trigger")).to_be_disabled()  # days must be chosen
    days.nth(0).fill(DAYS[0])
    days.nth(1).fill(DAYS[-1])
    _picture(page, "airflow-form")
    form.get_by_role("button", name="Trigger").click()
    expect(form).to_be_hidden()

    with closing(api_of(laptop)) as api:
        run = api.newest("rebuild_views")
        page.goto(f"{found.url}/dags/rebuild_views/runs/{run}")
        expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=RUN_SECONDS * 1000)
        eventually(lambda: api.state("rebuild_views", run) == "success")
        assert DAYS[0] in api.log("rebuild_views", run, "aggregate")
    for name, path, key in (
        ("airflow-dags", "/dags", ""),
        ("airflow-grid", "/dags/nightly_report/runs", ""),
        ("airflow-graph", "/dags/nightly_report/tasks", "g"),
        ("airflow-lineage", "/assets", ""),
    ):
        page.goto(found.url + path)
        page.wait_for_load_state("networkidle")
        if key:
            page.keyboard.press(key)
            page.locator(".react-flow__node").first.wait_for()
        _picture(page, name)


def _picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")
