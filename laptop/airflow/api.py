"""Airflow's own REST API (v2): triggers a DAG run and reads its state and log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from fleet.errors import ServiceUnavailable

TRIES: Final = 6
PAUSE_SECONDS: Final = 1.0
"""Under load SQLite reports "database is locked", and Airflow answers 500; a retry succeeds."""


class AirflowApi:
    """A session of one user. Raises ServiceUnavailable when Airflow does not answer, or refuses."""

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, transport=transport)
        self._login = {"username": user, "password": password}
        self._sleep = sleep
        self._token = ""

    def close(self) -> None:
        self._client.close()

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG processor has found the DAG by now."""
        return self._call("GET", f"/api/v2/dags/{dag_id}").status_code == httpx.codes.OK

    def trigger(self, dag_id: str, params: Mapping[str, Any] | None = None) -> str:
        """Unpauses the DAG, triggers a run with `params` and returns the run's id."""
        _checked(self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False}))
        # Our own id: if the first answer is lost, the retry finds the run already there (409).
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(params or {})}
        answer = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        if answer.status_code != httpx.codes.CONFLICT:
            _checked(answer)
        return run_id

    def state(self, dag_id: str, run_id: str) -> str:
        """queued, running, success or failed."""
        return str(_checked(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))["state"])

    def succeeded(self, dag_id: str, since: datetime) -> bool:
        """Whether a run that began at `since` or later has succeeded, by schedule or by hand."""
        runs = _checked(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns?order_by=-start_date&limit=20"))["dag_runs"]
        successful = [run for run in runs if run["state"] == "success" and run["start_date"]]
        return any(datetime.fromisoformat(run["start_date"]) >= since for run in successful)

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """The log of a task, as the UI shows it: one line per event."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        return "\n".join(str(line.get("event", "")) for line in _checked(self._call("GET", path))["content"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """The answer. Raises ServiceUnavailable when the last of TRIES requests gets a 5xx, or no answer."""
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(PAUSE_SECONDS)
            try:
                answer = self._request(method, path, body)
            except (httpx.HTTPError, ValueError, KeyError) as error:
                problem = type(error).__name__
                continue
            if not answer.is_server_error:
                return answer
            problem = f"{answer.status_code} to {method} {path}"
        raise ServiceUnavailable(f"Airflow at {self._client.base_url} does not answer: {problem}")

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        if not self._token:
            login = self._client.post("/auth/token", json=self._login)
            if login.is_client_error:
                raise ServiceUnavailable(f"Airflow refuses the login of {self._login['username']}: {login.status_code}")
            self._token = login.json()["access_token"]
        return self._client.request(method, path, json=body, headers={"Authorization": f"Bearer {self._token}"})


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise ServiceUnavailable(f"Airflow answers {answer.status_code} to {answer.request.url}: {answer.text[:200]}")
    body: dict[str, Any] = answer.json()
    return body
