"""The client of Airflow's REST API against scripted answers; the real Airflow is in the test of the main job."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from fleet.errors import ServiceUnavailable
from laptop.airflow.api import TRIES, AirflowApi


class Airflow:
    """Answers each path with the next of its answers, the last one for ever."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"/auth/token": [(201, {"access_token": "t0ken"})], **answers}
        self.asked: list[tuple[Any, ...]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path, request.headers.get("authorization"), request.content))
        answers = self.answers[request.url.path]
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        if status is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(status, json=body)


DAG = "/api/v2/dags/hourly_views"


def api(**answers: Any) -> Any:
    fake = Airflow(**answers)
    return AirflowApi("http://airflow", "admin", "secret", httpx.MockTransport(fake), lambda seconds: None), fake


def test_a_run_is_asked_for_with_the_dag_unpaused() -> None:
    client, fake = api(**{DAG: [(200, {})], f"{DAG}/dagRuns": [(200, {})]})
    run = client.trigger("hourly_views")
    assert [(method, path) for method, path, _, _ in fake.asked] == [
        ("POST", "/auth/token"),
        ("PATCH", DAG),
        ("POST", f"{DAG}/dagRuns"),
    ]
    assert {token for _, _, token, _ in fake.asked[1:]} == {"Bearer t0ken"}
    assert json.loads(fake.asked[1][3]) == {"is_paused": False}
    assert json.loads(fake.asked[2][3]) == {"dag_run_id": run, "logical_date": None, "conf": {}}


def test_a_locked_database_or_a_lost_connection_is_asked_again() -> None:
    client, _ = api(**{f"{DAG}/dagRuns/r": [(500, {}), (None, {}), (503, {}), (200, {"state": "running"})]})
    assert client.state("hourly_views", "r") == "running"


def test_a_run_whose_answer_was_lost_is_found_there() -> None:
    client, _ = api(**{DAG: [(200, {})], f"{DAG}/dagRuns": [(500, {}), (409, {})]})
    assert client.trigger("hourly_views").startswith("manual__")


def test_a_dag_that_is_not_parsed_yet() -> None:
    client, _ = api(**{DAG: [(404, {}), (200, {})]})
    assert [client.knows("hourly_views"), client.knows("hourly_views")] == [False, True]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({f"{DAG}/dagRuns/r": [(500, {})]}, "does not answer: 500 to GET"),
        ({f"{DAG}/dagRuns/r": [(None, {})]}, "does not answer: ConnectError"),
        ({f"{DAG}/dagRuns/r": [(404, {"detail": "gone"})]}, "answers 404 .*gone"),
        ({"/auth/token": [(401, {})]}, "refuses the login of admin: 401"),
        ({"/auth/token": [(201, {})]}, "does not answer: KeyError"),
    ],
)
def test_refusal_of_airflow_is_one_sentence(answers: Any, says: Any) -> None:
    client, fake = api(**answers)
    with pytest.raises(ServiceUnavailable, match=says) as caught:
        client.state("hourly_views", "r")
    assert "secret" not in str(caught.value)
    assert len(fake.asked) <= TRIES + 1


@pytest.mark.parametrize(
    ("state", "began", "expected"),
    [
        ("success", "2026-11-24T11:00:01Z", True),
        ("success", "2026-11-24T10:59:59+00:00", False),
        ("failed", "2026-11-24T11:00:01Z", False),
        ("queued", None, False),
    ],
)
def test_any_run_that_began_since_counts_once_it_succeeded(state: Any, began: Any, expected: Any) -> None:
    client, _ = api(**{f"{DAG}/dagRuns": [(200, {"dag_runs": [{"state": state, "start_date": began}]})]})
    assert client.succeeded("hourly_views", datetime(2026, 11, 24, 11, tzinfo=UTC)) is expected
