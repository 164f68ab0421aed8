"""The whole stack as `peacewatch up` runs it, on a home and ports of its own, and what an operator does with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, time
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx

from infra import settings
from infra.settings import Settings
from laptop import ports
from laptop.airflow import server
from laptop.airflow.api import AirflowApi
from laptop.services import catalogue
from laptop.supervision import reaper
from tests.support.waiting import wait_for

RUN_SECONDS = 400
"""How long a run of a DAG may take; the machine may be busy."""


def new(home: Path, **changes: Any) -> Settings:
    """Settings of a laptop whose ports nobody else has."""
    free = {
        name: ports.free_port() for name in ("kafka_port", "mongo_port", "web_port", "airflow_port", "discord_port")
    }
    return settings.load({}, home=home, **free, **changes)


@contextmanager
def up(laptop: Settings) -> Iterator[subprocess.Popen[str]]:
    """`peacewatch up`; once it is ready."""
    with subprocess.Popen(command("up"), env=environment(laptop), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = _until_ready(process.stdout)
            assert f"password {catalogue.airflow_of(laptop).password}" in said, said
            yield process
        finally:
            process.terminate()
            process.communicate()
    assert reaper.marked(f"{laptop.home.resolve()}#") == []


def _until_ready(output: IO[str]) -> str:
    lines = []
    for line in output:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    return "".join(lines)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", *arguments]


def environment(laptop: Settings) -> dict[str, str]:
    return {**os.environ, **catalogue.environment_of(laptop)}


def peacewatch(laptop: Settings, *arguments: str) -> str:
    """What a command says that ends well."""
    done = subprocess.run(command(*arguments), env=environment(laptop), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(laptop: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(peacewatch(laptop, "status", "--json"))
    return found


def simulate(laptop: Settings, reports: int, start: str, drones: int = 50) -> None:
    """So many reports from `start` on (RFC 3339), all of them landed."""
    peacewatch(
        laptop,
        *("simulate", "--drones", str(drones), "--rate", str(reports), "--start", start, "--duration", "1s"),
    )
    landed(laptop)


def landed(laptop: Settings) -> None:
    """Once all that was sent is in the lake."""
    wait_for(lambda: status(laptop)["lag"]["peacewatch-landing"] == 0)


def reports(laptop: Settings, first: str, last: str) -> int:
    """Reports that the API counts from day to day."""
    answer = httpx.get(f"{laptop.web_url}/api/v1/statistics/averages", params={"from": first, "to": last}, timeout=30)
    return int(answer.raise_for_status().json()["reports"])


def channel(laptop: Settings, webhook: int) -> list[dict[str, Any]]:
    """The messages of a webhook of the stand-in: 3 is the operators', 4 the reports'."""
    control = f"http://{laptop.host}:{laptop.discord_port}/control/messages?webhook={webhook}"
    found: list[dict[str, Any]] = httpx.get(control, timeout=30).raise_for_status().json()["messages"]
    return found


class Api(AirflowApi):
    """Airflow's API with what only tests ask for."""

    def newest(self, dag_id: str) -> str:
        """The id of the DAG's newest run."""
        found = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns?order_by=-id&limit=1").json()["dag_runs"]
        return str(found[0]["dag_run_id"])

    def backfilled(self, dag_id: str, days: list[str], zone: ZoneInfo) -> bool:
        """Whether the runs of a backfill for these days of the zone have all succeeded. None may fail."""
        first, last = (datetime.combine(date.fromisoformat(day), time(), zone) for day in (days[0], days[-1]))
        asked = {"run_type": "backfill", "limit": 100}
        asked |= {"logical_date_gte": first.isoformat(), "logical_date_lte": last.isoformat()}
        answer = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns?{urlencode(asked)}")
        states = Counter(run["state"] for run in answer.json()["dag_runs"])
        assert not states["failed"], states
        return states == {"success": len(days)}

    def end(self, dag_id: str, run_id: str) -> None:
        """Ends a run, as an operator does who does not want it any more."""
        assert self._call("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", {"state": "success"}).is_success


def api_of(laptop: Settings) -> Api:
    found = catalogue.airflow_of(laptop)
    return Api(found.url, server.USER, found.password)


def has_ended(api: Api, dag: str, run: str) -> bool:
    return api.state(dag, run) in {"success", "failed"}


def ran(laptop: Settings, *wanted: tuple[str, dict[str, str]]) -> list[str]:
    """The ids of runs of these DAGs, with these params, that were all asked for now and have all ended well."""
    with closing(api_of(laptop)) as api:
        for dag, _ in wanted:
            wait_for(partial(api.knows, dag))
        runs = [(dag, api.trigger(dag, params)) for dag, params in wanted]
        for dag, run in runs:
            wait_for(partial(has_ended, api, dag, run), RUN_SECONDS)
            assert api.state(dag, run) == "success", (dag, run)
    return [run for _, run in runs]


def log(laptop: Settings, dag: str, run: str, task: str, attempt: int = 1) -> str:
    with closing(api_of(laptop)) as api:
        return api.log(dag, run, task, attempt)
