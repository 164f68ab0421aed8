"""The API does what its OpenAPI says, whatever is sent: schemathesis over every documented operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from pymongo.database import Database
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok

from fleet import topics
from fleet.figures.cube import HOURS
from fleet.figures.views import ALERTS
from serving.app import create_app
from serving.config import Config
from tests.integration.test_serving_api import NOON, put_alert, put_live
from tests.support.examples import examples

# A request can fit the schema and make no sense: a range that ends before it starts, a 30th of February, a zone that is
# not there. It gets 422 with the field and the reason, which test_serving_api.py holds case by case; signing in with a
# token that nobody made gets 401.
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "401", "404", "422"]}},
        "headers": {"Accept-Encoding": "identity"},  # its WSGI client asks for zstd and cannot read it
        "auth": {"openapi": {"token": {"bearer": "secret"}}},
    }
)
MEASURES = dict.fromkeys(HOURS.measure_names, 1)
VIEWS: dict[str, dict[str, Any]] = {
    "alert_days": {"kind": "unrest", "severity": "high", "country": "France", **dict.fromkeys(ALERTS.measure_names, 1)},
    "city_days": {"country": "France", "city": "Lyon", **MEASURES},
    "delay_days": {"delay_bucket": 0, "reports": 1, "alerts": 1},
    "place_days": {"latitude_cell": 90, "longitude_cell": 9, "reports": 1, "alerts": 1},
}


@schemathesis.deserializer("text/csv")
def read_csv(_: Any, response: Any) -> str:
    text: str = response.text
    return text


@pytest.fixture
def documented(
    mongo_uri: str, mongo_database: Database[dict[str, Any]], kafka: str, topic: Callable[..., str], tmp_path: Path
) -> Iterator[BaseSchema]:
    """The schema of an application that has data."""
    put_live(mongo_database, 0, (int(NOON.timestamp()) // 3600, "France", 3, 8, 2))
    for number in range(5):
        put_alert(mongo_database, number, NOON)
    incident = {"kind": "unrest", "severity": "high", "state": "open", "country": "France", "city": "Lyon"}
    mongo_database.incidents.insert_one({"_id": "i1", "since": NOON, "last": NOON, "alerts": 1, **incident})
    call = {"delivered_at": NOON, "method": "post", "message_id": "m1", "digest": False}
    incidents = [{"incident_id": "i1", "alerts": 1, "state": "open", "severity": "high"}]
    mongo_database.deliveries.insert_one({"_id": "c1", "incidents": incidents, **call})
    for view, cells in VIEWS.items():
        columns = {name: [value] for name, value in cells.items()}
        mongo_database[view].insert_one({"_id": NOON.date().isoformat(), "version": 0, "cells": columns})
    config = Config(
        mongo_uri=mongo_uri,
        kafka_bootstrap=kafka,
        actions_topic=topic(kind=topics.OPERATOR_ACTIONS, partitions=1),
        lake=str(tmp_path),
        tokens={"secret": "operator"},
        rate_limit="100000 per second",
    )
    app = create_app(config)
    yield schemathesis.openapi.from_wsgi("/openapi/openapi.json", app, config=CONFIG)
    app.extensions["peacewatch"].close()


UNENDING = {"/api/v1/stream"}  # test_serving_stream.py reads it


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_operation_answers_as_documented(documented: BaseSchema, mode: GenerationMode) -> None:
    """Of requests that fit the schema and of those that do not."""
    asked = 0
    for result in documented.get_all_operations():
        assert isinstance(result, Ok), result.err()
        operation = result.ok()
        if operation.path in UNENDING:
            continue
        try:
            ask(operation.as_strategy(generation_mode=mode))
        except Unsatisfiable:
            continue  # an operation without parameters has no request that does not fit
        asked += 1
    assert asked > 5


def ask(cases: SearchStrategy[Case[Any]]) -> None:
    @given(case=cases)
    @settings(
        max_examples=examples(20),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def answers_as_documented(case: Case[Any]) -> None:
        case.call_and_validate()

    answers_as_documented()
