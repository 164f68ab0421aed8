"""What comes with every answer: headers, compression, limits, and not sending again what a client has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from serving.app import create_app
from serving.config import Config
from tests.integration.test_serving_api import HOUR, NOON, client, put_alert, put_live

Documents = Database[dict[str, Any]]
__all__ = ["client"]  # the fixture


def test_headers_let_a_page_run_only_what_is_ours(client: FlaskClient) -> None:
    headers = client.get("/").headers
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_page_loads_from_elsewhere(client: FlaskClient) -> None:
    for path in ("/", "/openapi/swagger", "/static/base.css", "/static/home.js", "/static/charts.js"):
        with client.get(path) as answer:
            text = answer.get_data(as_text=True).replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path


def test_figures_that_a_client_has_are_not_sent_again(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR, "France", 3, 8, 2))
    path = "/api/v1/statistics/averages?from=2026-11-01&to=2026-11-24"
    etag = client.get(path).headers["ETag"]
    again = client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.get_data()) == (304, b"")
    assert client.head(path).headers["ETag"] == etag, "HEAD has the headers of GET"
    put_live(mongo_database, 1, (HOUR, "France", 3, 8, 2))
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    ("query", "kept"), [("from=2020-01-01&to=2020-01-31", "max-age=60"), ("from=2020-01-01", "no-cache")]
)
def test_only_closed_days_are_kept(client: FlaskClient, query: str, kept: str) -> None:
    mongo_query = query if "to=" in query else f"from={datetime.now(UTC).date()}"
    assert kept in client.get(f"/api/v1/statistics/averages?{mongo_query}").headers["Cache-Control"]
    assert client.get("/api/v1/alerts").headers["Cache-Control"] == "no-store"


def test_large_answers_are_compressed(client: FlaskClient, mongo_database: Documents) -> None:
    for number in range(30):
        put_alert(mongo_database, number, NOON)
    for name in ("zstd", "br", "gzip"):
        answer = client.get("/api/v1/alerts", headers={"Accept-Encoding": name})
        assert answer.headers["Content-Encoding"] == name
        assert len(answer.get_data()) < 3000
    assert "Content-Encoding" not in client.get("/healthz", headers={"Accept-Encoding": "gzip"}).headers


def test_refusal_of_too_many_requests_says_when_to_retry(mongo_uri: str) -> None:
    config = Config(mongo_uri=mongo_uri, rate_limit="3 per minute", tokens={"known": "viewer"}, open_to_all="figures")
    app = create_app(config)
    client = app.test_client()
    answers = [client.get("/api/v1/statistics/averages") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].mimetype == "application/problem+json"
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert client.get("/healthz").status_code == 200
    for token, status in (("known", 200), ("unknown", 429)):
        given = {"Authorization": f"Bearer {token}"}
        assert client.get("/api/v1/statistics/averages", headers=given).status_code == status
    app.extensions["peacewatch"].close()


def test_a_body_too_large_is_refused(client: FlaskClient) -> None:
    answer = client.post("/api/v1/silences", data=b"x" * 70_000, content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
