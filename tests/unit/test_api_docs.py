"""docs/api.md lists the endpoints that there are, with the filters that they have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from serving.app import create_app
from serving.config import Config

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
COLUMNS = {
    "from, to": {"from", "to", "since", "until", "date"},
    "tz": {"tz"},
    "country": {"country"},
    "city": {"city"},
    "drone": {"drone", "q", "bbox", "drone_id"},
    "CSV": {"format"},
}
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in TEXT.partition("## Which filters")[2].partition("##")[0].splitlines()
    if line.startswith("| `") and (cells := [cell.strip() for cell in line.strip("|").split("|")])
}


@pytest.fixture(scope="module")
def operations() -> Iterator[dict[tuple[str, str], Any]]:
    """{(method, path below /api/v1): operation} of the OpenAPI schema."""
    app = create_app(Config(mongo_uri="mongodb://127.0.0.1:1/nothing?connect=false"))
    paths = app.api_doc["paths"]
    yield {
        (method.upper(), path.removeprefix("/api/v1/")): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path.startswith("/api/v1/")
    }
    app.extensions["peacewatch"].close()


def test_every_endpoint_is_documented(operations: dict[tuple[str, str], Any]) -> None:
    for method, path in operations:
        name = path.removeprefix("statistics/")
        assert re.search(rf"[`/ ]{re.escape(name)}[`?]", TEXT), f"docs/api.md does not mention {method} {path}"


@pytest.mark.parametrize("path", ROWS)
def test_the_table_of_filters_is_true(operations: dict[tuple[str, str], Any], path: str) -> None:
    has = {parameter["name"] for parameter in operations["GET", path].get("parameters", [])}
    for (column, names), cell in zip(COLUMNS.items(), ROWS[path], strict=True):
        assert (cell != "–") == bool(names & has), f"{path}: {column} is {cell} in the docs, the API has {has}"


def test_every_endpoint_with_a_range_is_in_the_table(operations: dict[tuple[str, str], Any]) -> None:
    for (method, path), operation in operations.items():
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert method != "GET" or path in ROWS or not names & (COLUMNS["from, to"] | {"country"}), path


def test_every_operation_documents_its_errors(operations: dict[tuple[str, str], Any]) -> None:
    for (method, path), operation in operations.items():
        assert {"422", "429", "503"} <= operation["responses"].keys(), f"{method} {path}"
        assert operation["summary"], f"{method} {path}"


def test_every_answer_has_an_example_that_fits_it() -> None:
    app = create_app(Config(mongo_uri="mongodb://127.0.0.1:1/nothing?connect=false"))
    document = app.api_doc
    app.extensions["peacewatch"].close()
    shown = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status in ("200", "202"):
                content = operation["responses"].get(status, {}).get("content", {}).get("application/json")
                if not content or path == "/healthz":  # a report has a form of its own
                    continue
                schema = {**content["schema"], "components": document["components"]}
                jsonschema.Draft202012Validator(schema).validate(content["example"])
                shown.add(f"{method} {path}")
    assert len(shown) >= 30
