"""Airflow's own REST API (v2): have its scheduler run a DAG, and see how that went."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import httpx

from fleet.errors import ServiceUnavailable

POLL_SECONDS: Final = 1.0
ENDED: Final = ("success", "failed")


class AirflowApi:
    """A session of one user. Raises ServiceUnavailable when Airflow does not answer or says no."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        self._client = httpx.Client(timeout=30)
        self._token: str | None = None

    def close(self) -> None:
        self._client.close()

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG processor has found the DAG by now."""
        return self._call("GET", f"/api/v2/dags/{dag_id}", missing=True) is not None

    def trigger(self, dag_id: str) -> str:
        """Unpauses the DAG and asks for a run now; the run's id."""
        self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
        run: dict[str, Any] = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})
        return str(run["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """queued, running, success or failed."""
        return str(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait(self, dag_id: str, run_id: str, still: Callable[[], None]) -> str:
        """The state that the run ended in. `still` is called between looks, and raises when it was too long."""
        while (state := self.state(dag_id, run_id)) not in ENDED:
            still()
            time.sleep(POLL_SECONDS)
        return state

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, *, missing: bool = False) -> Any:
        try:
            if self._token is None:
                self._token = self._client.post(f"{self._url}/auth/token", json=self._login).json()["access_token"]
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = self._client.request(method, self._url + path, json=body, headers=headers)
            if missing and answer.status_code == httpx.codes.NOT_FOUND:
                return None
            answer.raise_for_status()
            return answer.json()
        except httpx.HTTPStatusError as error:
            said = error.response.text[:200]
            raise ServiceUnavailable(
                f"Airflow answers {error.response.status_code} to {method} {path}: {said}"
            ) from None
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ServiceUnavailable(f"Airflow at {self._url} does not answer: {type(error).__name__}") from None
