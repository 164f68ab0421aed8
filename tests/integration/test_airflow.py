"""Airflow as operators have it, on PostgreSQL where that is installed: a killed Spark job, backfills of days and of
months, late reports, a run that is late, one that fails, maintenance; and its own pages in a real Chromium. All by its
own scheduler, started once, for officers whose day is another than UTC's: the figures of a UTC day would be wrong for
each of theirs.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import httpx
import psycopg
import pytest
import sqlalchemy
from playwright.sync_api import Page, expect

from cli.doctor import jobs
from infra.settings import Settings
from laptop.services import catalogue
from tests.support import landing, postgres, spark_engines
from tests.support.airflow_laptop import (
    DAYS,
    MONTH_SECONDS,
    MONTHS,
    TODAY,
    UTC_DAYS,
    ZONE,
    at,
    backfill,
    browser_page,
    check_month,
    days_ago,
    heard,
    log_in,
    made,
    picture,
    report,
    spark_driver,
    spark_log,
)
from tests.support.laptop import (
    RUN_SECONDS,
    api_of,
    channel,
    landed,
    log,
    new,
    ran,
    reports,
    simulate,
    up,
)
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def database() -> Iterator[str | None]:
    """The URL of a real PostgreSQL; None if it is not installed."""
    programs = postgres.programs()
    if programs is None:
        yield None
        return
    with postgres.serving(programs) as url:
        yield url


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory, database: str | None) -> Settings:
    found = {"airflow_database": database} if database else {}
    return new(tmp_path_factory.mktemp("laptop"), timezone=str(ZONE), **found)


@pytest.fixture(scope="module", autouse=True)
def stack(laptop: Settings) -> Iterator[subprocess.Popen[str]]:
    with up(laptop) as process:
        for day, number in zip(DAYS, (300, 400, 500), strict=True):
            simulate(laptop, number, at(day, 9).isoformat())
        yield process


def test_doctor_finds_nothing_wrong_with_it(laptop: Settings) -> None:
    """Its connection to Spark is a variable of its processes, which its database does not have."""
    found = list(jobs.check_airflow(catalogue.airflow_of(laptop).environment()))
    assert {finding.verdict for finding in found} == {"fine"}, found
    assert jobs.CONNECTION in found[-1].what


def test_a_killed_spark_job_is_tried_again(laptop: Settings) -> None:
    with closing(api_of(laptop)) as api:
        wait_for(lambda: api.knows("rebuild_views"))
        run = api.trigger("rebuild_views", {"first": UTC_DAYS[0], "last": UTC_DAYS[-1]})
        wait_for(lambda: "starting" in spark_log(api, run) and spark_driver(laptop) is not None, RUN_SECONDS)
        pid = spark_driver(laptop)
        assert pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: api.state("rebuild_views", run) in {"success", "failed"}, RUN_SECONDS)
        assert api.state("rebuild_views", run) == "success"
        assert "Task failed" in api.log("rebuild_views", run, "aggregate", 1)
        task_log = api.log("rebuild_views", run, "aggregate", 2)
        assert re.search(r"hours: \d+ computed", task_log)
        assert spark_engines.NATIVE in task_log
    assert reports(laptop, UTC_DAYS[0], UTC_DAYS[-1]) == 1200


def test_three_days_are_backfilled_from_the_command_line(laptop: Settings) -> None:
    (run,) = ran(laptop, ("hourly_views", {}))
    assert "Spark-Submit cmd: spark-submit" in log(laptop, "hourly_views", run, "aggregate")
    backfill(laptop, DAYS)
    wait_for(lambda: [row["day"] for row in made(laptop, DAYS)] == DAYS[::-1], RUN_SECONDS)
    found = [report(laptop, day) for day in DAYS]
    assert [one["headline"]["reports"]["value"] for one in found] == [300, 400, 500]
    assert [one["headline"]["reports"]["day_before"] for one in found] == [None, 300, 400]
    assert {one["state"] for one in found} == {"complete"}


def test_late_reports_revise_a_report(laptop: Settings) -> None:
    """After the days' own reports of the test before."""
    simulate(laptop, 77, at(DAYS[1], 21).isoformat())
    ran(laptop, ("hourly_views", {}))
    (run,) = ran(laptop, ("nightly_report", {"day": DAYS[-1]}))
    assert f"{DAYS[1]}: revision 1 built" in log(laptop, "nightly_report", run, "revise")
    revised = report(laptop, DAYS[1])
    changed = {change["figure"]: (change["before"], change["after"]) for change in revised["changes"]}
    assert (revised["revision"], changed["reports received"]) == (1, (400, 477))
    titles = [message["embeds"][0]["title"] for message in channel(laptop, 4)]
    assert sum("revision 1" in title for title in titles) >= 1


def test_operators_hear_of_a_late_run_with_the_way_to_its_log(laptop: Settings) -> None:
    """Today is not over, so its report waits; its deadline is moved to now."""
    with closing(api_of(laptop)) as api:
        run = api.trigger("nightly_report", {"day": str(TODAY)})
        wait_for(lambda: api.state("nightly_report", run) == "running", RUN_SECONDS)
        engine = sqlalchemy.create_engine(
            catalogue.airflow_of(laptop).environment()["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        )
        past = (
            "UPDATE deadline SET deadline_time = '2026-01-01 00:00:00.000000' "
            "WHERE dagrun_id = (SELECT id FROM dag_run WHERE run_id = :run)"
        )
        with engine.begin() as connection:
            assert connection.execute(sqlalchemy.text(past), {"run": run}).rowcount == 1
        engine.dispose()
        late = r"nightly\_report is late"
        wait_for(lambda: late in [message["embeds"][0]["title"] for message in channel(laptop, 3)], RUN_SECONDS)
        embeds = [message["embeds"][0] for message in channel(laptop, 3)]
        notice = next(embed for embed in embeds if embed["title"] == late)
        assert "should have ended by 2026" in notice["description"].replace("\\", "")
        address = f"http://{laptop.host}:{laptop.airflow_port}/dags/nightly_report/runs/"
        assert notice["url"].startswith(address)
        assert httpx.get(notice["url"], timeout=30).is_success
        api.end("nightly_report", run)


def test_the_report_of_a_day_is_posted_with_its_pdf(laptop: Settings) -> None:
    """Recomputed, as by its DAG each night; those of a backfill are quiet."""
    (day,) = days_ago(8, 8)
    simulate(laptop, 250, at(day, 9).isoformat())
    ran(laptop, ("hourly_views", {}), ("nightly_report", {"day": day}))
    (row,) = made(laptop, [day])
    assert (row["state"], row["reports"]["value"]) == ("complete", 250)
    pdf = httpx.get(f"{laptop.web_url}/api/v1/nightly-reports/{day}/pdf", timeout=30).raise_for_status().content
    assert pdf.startswith(b"%PDF-")
    assert [f"/reports/{day}" in message["embeds"][0]["url"] for message in channel(laptop, 4)].count(True) == 1


def test_the_lake_is_maintained(laptop: Settings) -> None:
    ran(laptop, ("lake_maintenance", {}))


def test_operators_hear_of_a_run_that_failed(laptop: Settings) -> None:
    """Days that are in the wrong order: the command refuses them, whenever it is tried."""
    with closing(api_of(laptop)) as api:
        run = api.trigger("rebuild_views", {"first": "2026-01-02", "last": "2026-01-01"})
        wait_for(lambda: api.state("rebuild_views", run) == "failed", RUN_SECONDS)
    failed = [message["embeds"][0] for message in channel(laptop, 3) if "failed" in message["embeds"][0]["title"]]
    assert [embed["title"] for embed in failed] == [r"rebuild\_views\: aggregate failed"]
    assert f"{laptop.airflow_port}/dags/rebuild_views/runs/" in failed[0]["url"]


@pytest.fixture(scope="module")
def months(laptop: Settings) -> None:
    """A few reports on each day of two months, more each day, all of them counted."""
    mornings = [(at(day, 9), number) for days in MONTHS.values() for number, day in enumerate(days, 10)]
    landing.send(
        laptop.bootstrap,
        "reports",
        [
            landing.report(n, report_id=f"{morning}/{n}", reported_at=(morning + timedelta(minutes=n)).isoformat())
            for morning, number in mornings
            for n in range(number)
        ],
    )
    landed(laptop)
    ran(laptop, ("hourly_views", {}))


def test_a_month_is_backfilled_from_the_command_line(laptop: Settings, months: None) -> None:
    days, before = MONTHS["the command line"], heard(laptop)
    backfill(laptop, days)
    with closing(api_of(laptop)) as api:
        wait_for(lambda: api.backfilled("nightly_report", days, ZONE), MONTH_SECONDS)
    check_month(laptop, days, before)


def test_its_database_is_postgresql(laptop: Settings, database: str | None) -> None:
    if database is None:
        pytest.skip("PostgreSQL is not installed")
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT DISTINCT dag_id FROM dag_run WHERE state = 'success'").fetchall()
    assert {name for (name,) in rows} >= {"hourly_views", "nightly_report", "rebuild_views"}
    assert not (laptop.home / "airflow" / "airflow.db").exists()


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


def test_an_operator_backfills_a_month_in_the_browser(laptop: Settings, months: None, page: Page) -> None:
    days, before = MONTHS["the browser"], heard(laptop)
    log_in(page, laptop, "/dags/nightly_report")
    page.get_by_text("+00:00").first.click()
    page.get_by_role("dialog").get_by_role("combobox").click()
    page.keyboard.type(str(ZONE))
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    form.get_by_text("Backfill", exact=True).first.click()
    expect(form.get_by_role("button", name="Run Backfill")).to_be_disabled()  # days must be chosen
    for day in (days[0], days[-1]):
        form.get_by_text("Select date and time").first.click()
        page.get_by_placeholder("YYYY/MM/DD").fill(day.replace("-", "/"))
        page.get_by_placeholder("HH:mm").fill("00:00")
        page.keyboard.press("Enter")
        form.get_by_text("Date Range").click()
        expect(page.get_by_placeholder("YYYY/MM/DD")).to_have_count(0)
    expect(form.get_by_text(f"{len(days)} runs will be triggered")).to_be_visible()
    picture(page, "airflow-backfill")
    form.get_by_role("button", name="Run Backfill").click()
    expect(form).to_be_hidden()
    expect(page.get_by_text("Backfill in progress")).to_be_visible()

    with closing(api_of(laptop)) as api:
        wait_for(lambda: api.backfilled("nightly_report", days, ZONE), MONTH_SECONDS)
    expect(page.get_by_text("Backfill in progress")).to_be_hidden(timeout=RUN_SECONDS * 1000)  # the page polls
    check_month(laptop, days, before)
    page.goto(f"{laptop.web_url}/reports?before={TODAY - timedelta(days=49)}")
    expect(page.locator("tbody tr")).to_have_count(len(days))
    expect(page.locator(f'a[href="/reports/{days[0]}"]')).to_be_visible()


def test_an_operator_rebuilds_days_in_the_browser(laptop: Settings, page: Page) -> None:
    found = catalogue.airflow_of(laptop)
    log_in(page, laptop, "/dags/rebuild_views")

    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog")
    days = form.locator("input[type=date]")
    expect(days).to_have_count(2)
    expect(form.get_by_role("button", name="Trigger")).to_be_disabled()  # days must be chosen
    days.nth(0).fill(DAYS[0])
    days.nth(1).fill(DAYS[-1])
    picture(page, "airflow-form")
    form.get_by_role("button", name="Trigger").click()
    expect(form).to_be_hidden()

    with closing(api_of(laptop)) as api:
        run = api.newest("rebuild_views")
        page.goto(f"{found.url}/dags/rebuild_views/runs/{run}")
        expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=RUN_SECONDS * 1000)
        wait_for(lambda: api.state("rebuild_views", run) == "success")
        assert DAYS[0] in api.log("rebuild_views", run, "aggregate")


def test_pages_that_an_operator_sees(laptop: Settings, page: Page) -> None:
    """After the tests before: every run is green, tasks are named by what they do and by the command to type."""
    log_in(page, laptop, "/dags")
    found = catalogue.airflow_of(laptop)
    for dag_id in ("hourly_views", "lake_maintenance", "nightly_report", "rebuild_views"):
        expect(page.get_by_role("link", name=dag_id, exact=True).first).to_be_visible()
    picture(page, "airflow-dags")

    page.goto(f"{found.url}/dags/nightly_report")
    expect(page.get_by_text("Revise earlier days").first).to_be_visible()
    picture(page, "airflow-grid")

    page.keyboard.press("g")
    nodes = page.locator(".react-flow__node")
    for name, command in (
        ("Wait for the day", "peacewatch report wait"),
        ("Build the report", "peacewatch report build"),
        ("Post to Discord", "peacewatch report publish"),
        ("Revise earlier days", "peacewatch report revise --late"),
    ):
        expect(nodes.filter(has_text=name).filter(has_text=command)).to_be_visible()
    picture(page, "airflow-graph")

    page.goto(f"{found.url}/assets")
    page.get_by_role("link", name="hour_documents").click()
    page.get_by_text("Task Dependencies").click()
    for name in ("lake", "aggregate", "hour_documents", "build", "nightly_report", "publish"):
        expect(nodes.filter(has_text=name).first).to_be_visible()
    picture(page, "airflow-lineage")
