"""Two schedulers with the LocalExecutor on PostgreSQL (docs/airflow.md). Both start a run of one DAG in one moment: its
tasks take turns. The one that runs a task is killed while the task writes hour documents; the other one brings the run
to its end, and each report counts once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final

import psycopg
import pytest
from pymongo import MongoClient

from infra.kafka.topics import create_topics
from infra.mongo.client import Documents
from infra.settings import Settings
from laptop.supervision import processes, reaper
from tests.support import lakes, postgres
from tests.support.laptop import api_of, command, environment, has_ended, new, peacewatch, reports
from tests.support.waiting import answers, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

START: Final = datetime(2026, 11, 1, tzinfo=UTC)
DAYS: Final = 8
"""Spark computes a day at a time: so many that a run can be seen between its first document and its last."""

ROWS: Final = 2000
SCHEDULERS: Final = ("scheduler-1", "scheduler-2")
KEEP_MARK: Final = {"SPT_NOENV": "1"}
"""Airflow's titles of processes would stand over their environment, and so over the mark."""

GATE: Final = 4711
"""Number of an advisory lock that Airflow does not use."""

START_SECONDS: Final = 300
RUN_SECONDS: Final = 600
MAINTENANCE: Final = "lake_maintenance"
AGGREGATE: Final = "dag_id = 'hourly_views' AND task_id = 'aggregate' AND run_id = %s"


class Airflow:
    """Its processes on `database`, each with all of its children under a mark of its own."""

    def __init__(self, laptop: Settings, database: str) -> None:
        self.laptop, self.database = laptop, database
        self.running: dict[str, processes.Child] = {}

    def start(self, name: str, *arguments: str) -> processes.Child:
        log = self.laptop.home / "log" / f"{name}.log"
        environ = {**environment(self.laptop), reaper.VARIABLE: self.mark(name), **KEEP_MARK}
        child = processes.start(name, command(*arguments), log, env=environ)
        self.running[name] = child
        return child

    def start_scheduler(self, name: str) -> None:
        self.start(name, "airflow", "scheduler", "--skip-serve-logs")

    def mark(self, name: str) -> str:
        return f"{self.laptop.home}#{name}"

    def kill_machine(self, name: str) -> None:
        """As the end of the machine that it runs on: all of its processes at once."""
        for number in (signal.SIGSTOP, signal.SIGKILL):  # first still: none may say of another that it has died
            for pid in reaper.marked(self.mark(name)):
                os.kill(pid, number)
        self.running.pop(name).kill()

    def kill_process(self, name: str) -> None:
        """The scheduler's own process alone: its task goes on."""
        process = self.running.pop(name).process
        process.kill()
        process.wait()

    def asked(self, query: str, *values: Any) -> list[Any]:
        """The first column of what PostgreSQL answers."""
        with psycopg.connect(self.database) as connection:
            return [row[0] for row in connection.execute(query, values).fetchall()]

    def living_schedulers(self) -> int:
        heard = "latest_heartbeat > now() - interval '15 seconds'"
        (count,) = self.asked(f"SELECT count(*) FROM job WHERE job_type = 'SchedulerJob' AND {heard}")
        return int(count)

    @contextmanager
    def runs_held_at_their_start(self) -> Iterator[None]:
        """A scheduler that starts a run stays in that transaction, as on a slow machine, until the end of the block."""
        with psycopg.connect(self.database, autocommit=True) as gate:
            gate.execute("SELECT pg_advisory_lock(%s)", (GATE,))
            gate.execute(
                "CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$"
            )
            gate.execute(
                "CREATE TRIGGER gate BEFORE UPDATE ON dag_run FOR EACH ROW "
                "WHEN (OLD.state = 'queued' AND NEW.state = 'running') EXECUTE FUNCTION wait_at_gate()"
            )
            try:
                yield
            finally:
                gate.execute("SELECT pg_advisory_unlock(%s)", (GATE,))
                gate.execute("DROP FUNCTION wait_at_gate CASCADE")

    def holds(self, count: int) -> bool:
        """Whether so many schedulers are held at a run's start."""
        return self.asked("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == [count]

    def scheduler_of_the_driver(self) -> str | None:
        """The scheduler whose task is a Spark driver now."""
        for name in SCHEDULERS:
            for pid in reaper.marked(self.mark(name)):
                if b"org.apache.spark.deploy.SparkSubmit" in command_line(pid):
                    return name
        return None


def command_line(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - a file of the kernel's
            return file.read()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, kafka: str, mongo_server_uri: str) -> Iterator[Airflow]:
    """Two schedulers, whose DAGs are paused."""
    programs = postgres.programs()
    assert programs, "Debian's package postgresql is not installed"
    create_topics(kafka)
    with postgres.serving(programs) as database:
        laptop = new(
            tmp_path_factory.mktemp("laptop"),
            kafka_bootstrap=kafka,
            mongo_uri=mongo_server_uri.replace("/peacewatch?", "/two_schedulers?"),
            airflow_database=database,
            airflow_paused=True,
        )
        world = Airflow(laptop, database)
        try:
            lakes.make(laptop.lake_location)
            peacewatch(laptop, "airflow-setup")
            api, page = (
                world.start("api-server", "airflow", "api-server", *port_of(laptop)),
                world.start("serve", "serve"),
            )
            world.start("dag-processor", "airflow", "dag-processor")
            url = f"http://{laptop.host}:{laptop.airflow_port}/api/v2/monitor/health"
            api.wait_ready(lambda: answers(url), START_SECONDS)
            page.wait_ready(lambda: answers(f"{laptop.web_url}/readyz"), START_SECONDS)
            for name in SCHEDULERS:
                world.start_scheduler(name)
            yield world
        finally:
            reaper.kill(f"{laptop.home}#")
            for child in world.running.values():
                child.kill()


def port_of(laptop: Settings) -> tuple[str, ...]:
    return "--host", laptop.host, "--port", str(laptop.airflow_port)


@pytest.fixture
def documents(airflow: Airflow) -> Iterator[Documents]:
    assert airflow.laptop.mongo_uri
    with MongoClient[dict[str, Any]](airflow.laptop.mongo_uri.get_secret_value(), tz_aware=True) as client:
        yield client.get_default_database()


@contextmanager
def run_amid_its_documents(airflow: Airflow, documents: Documents, seed: int) -> Iterator[tuple[str, str]]:
    """Lands reports in every hour and has them computed: the run and its scheduler, once some hours are written.

    At the end the run has succeeded.
    """
    rows = lakes.some_rows(ROWS, seed, hours=24 * DAYS, start=START, first=seed * ROWS)
    version = lakes.land(airflow.laptop.lake_location, rows)
    new_documents = {"version": version}
    with closing(api_of(airflow.laptop)) as api:
        wait_for(lambda: api.knows("hourly_views"), START_SECONDS)
        wait_for(lambda: airflow.living_schedulers() == len(SCHEDULERS), START_SECONDS)
        api.trigger("hourly_views")
        wait_for(lambda: documents.hours.find_one(new_documents) is not None, RUN_SECONDS)
        scheduler = airflow.scheduler_of_the_driver()
        (run,) = airflow.asked("SELECT run_id FROM task_instance WHERE task_id = 'aggregate' AND state = 'running'")
        assert scheduler
        yield run, scheduler
        wait_for(lambda: has_ended(api, "hourly_views", run), RUN_SECONDS)
        assert api.state("hourly_views", run) == "success"
        # The schedule's own run and the one by hand: what either left would be counted by the other.
        wait_for(
            lambda: not airflow.asked("SELECT run_id FROM dag_run WHERE state IN ('queued', 'running')"), RUN_SECONDS
        )


def counted(airflow: Airflow) -> int:
    return reports(airflow.laptop, str(START.date()), str(date(2026, 11, 1) + timedelta(days=DAYS - 1)))


def test_tasks_of_two_runs_that_start_in_one_moment_take_turns(airflow: Airflow) -> None:
    """Airflow counts the running runs of a DAG without a lock, so each scheduler starts one in spite of
    max_active_runs. If this fails because the second is never held, Airflow has mended that (apache/airflow#45388).
    """
    with closing(api_of(airflow.laptop)) as api:
        wait_for(lambda: api.knows(MAINTENANCE), START_SECONDS)
        wait_for(lambda: airflow.living_schedulers() == len(SCHEDULERS), START_SECONDS)
        with airflow.runs_held_at_their_start():
            for count in range(1, len(SCHEDULERS) + 1):
                api.trigger(MAINTENANCE)
                wait_for(partial(airflow.holds, count), START_SECONDS)
        unfinished = "SELECT run_id FROM dag_run WHERE dag_id = %s AND state IN ('queued', 'running')"
        wait_for(lambda: not airflow.asked(unfinished, MAINTENANCE), RUN_SECONDS)
    assert set(airflow.asked("SELECT state FROM dag_run WHERE dag_id = %s", MAINTENANCE)) == {"success"}
    overlapping = (
        "SELECT one.{what} FROM {table} one JOIN {table} other USING (dag_id) WHERE dag_id = %s "
        "AND one.run_id < other.run_id AND one.{what} {like} other.{what} "
        "AND one.start_date < other.end_date AND other.start_date < one.end_date"
    )
    assert airflow.asked(overlapping.format(table="dag_run", what="run_id", like="<>"), MAINTENANCE)
    assert airflow.asked(overlapping.format(table="task_instance", what="task_id", like="="), MAINTENANCE) == []


def test_the_other_scheduler_repeats_the_task_of_a_machine_that_died(airflow: Airflow, documents: Documents) -> None:
    with run_amid_its_documents(airflow, documents, seed=1) as (run, scheduler):
        airflow.kill_machine(scheduler)
        assert 0 < documents.hours.count_documents({}) < 24 * DAYS
        assert documents.runs.count_documents({"state": "complete"}) == 0
    assert airflow.asked(f"SELECT try_number FROM task_instance WHERE {AGGREGATE}", run) == [2]
    assert counted(airflow) == ROWS
    airflow.start_scheduler(scheduler)


def test_a_task_whose_scheduler_alone_died_counts_each_report_once(airflow: Airflow, documents: Documents) -> None:
    """After the test before. The task goes on. It ends in time, or the other scheduler starts it a second time while it
    still runs, and Airflow ends the first."""
    with run_amid_its_documents(airflow, documents, seed=2) as (run, scheduler):
        airflow.kill_process(scheduler)
    assert airflow.asked(f"SELECT state FROM task_instance WHERE {AGGREGATE}", run) == ["success"]
    assert counted(airflow) == 2 * ROWS
    wait_for(lambda: airflow.scheduler_of_the_driver() is None, RUN_SECONDS)
