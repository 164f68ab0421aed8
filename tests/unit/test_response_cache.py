"""The response cache: an answer is sent again while its version is the newest, and only for the same request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import REGISTRY
from werkzeug.test import Client, EnvironBuilder, TestResponse
from werkzeug.wrappers import Request, Response

from serving.http.response_cache import FIGURES, KEPT_BYTES, KEPT_SECONDS, ResponseCache
from tests.support.waiting import wait_for

PATH = f"{FIGURES}averages"


class Figures:
    """An application that counts how often it is asked, with a version and a clock that a test sets. It answers while
    `goes_on` is set, and says which version is the newest while `looks_on` is.
    """

    def __init__(self) -> None:
        self.stamp: Any = 1
        self.asked = 0
        self.looks = 0
        self.now = 0.0
        self.status = 200
        self.size = 0
        self.goes_on, self.looks_on = threading.Event(), threading.Event()
        self.goes_on.set()
        self.looks_on.set()
        self.cache = ResponseCache(self, self.look, lambda: self.now)
        self.client = Client(self.cache)

    def look(self) -> Any:
        looks_on = self.looks_on
        self.looks += 1
        assert looks_on.wait(30)
        return self.stamp

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.asked += 1
        assert self.goes_on.wait(30)
        request = Request(environ)
        response = Response(
            f"{self.stamp} {request.full_path} {request.accept_mimetypes}".ljust(self.size), self.status
        )
        response.set_etag(str(self.stamp), weak=True)
        response = response.make_conditional(request)
        return response(environ, start_response)


@pytest.fixture
def figures() -> Figures:
    return Figures()


def test_same_request_at_the_same_version_is_computed_once(figures: Figures) -> None:
    answers = [figures.client.get(PATH) for _ in range(3)]
    assert figures.asked == 1
    assert len({(answer.get_data(), str(answer.headers)) for answer in answers}) == 1
    figures.stamp = 2
    assert figures.client.get(PATH).get_data().startswith(b"2 ")


@pytest.mark.parametrize(
    "other",
    [
        {"query_string": "country=Fiji"},
        {"path": f"{FIGURES}series"},
        {"headers": {"Accept": "text/csv"}},
        {"headers": {"Accept-Encoding": "br"}},
    ],
)
def test_another_request_has_its_own_answer(figures: Figures, other: dict[str, Any]) -> None:
    for _ in range(2):
        for request in ({}, other):
            figures.client.open(EnvironBuilder(**{"path": PATH, **request}))
    assert figures.asked == 2


def test_answer_is_computed_where_the_version_is_unknown(figures: Figures) -> None:
    figures.stamp = None
    for _ in range(2):
        figures.client.get(PATH)
    assert figures.asked == 2


def test_answer_is_computed_again_after_two_seconds(figures: Figures) -> None:
    """Parts of it, such as which days are complete, have no version."""
    figures.client.get(PATH)
    figures.now = KEPT_SECONDS + 0.1
    figures.client.get(PATH)
    assert figures.asked == 2


@pytest.mark.parametrize("is_ready", [False, True])
def test_client_that_has_the_answer_is_sent_no_body(figures: Figures, is_ready: bool) -> None:
    if is_ready:
        figures.client.get(PATH)
    for held in ('W/"1"', '"0", W/"1"', "*"):
        answer = figures.client.get(PATH, headers={"If-None-Match": held})
        assert (answer.status_code, answer.get_data()) == (304, b"")
        assert answer.headers["ETag"] == 'W/"1"'
        assert "Content-Type" not in answer.headers
    assert figures.client.get(PATH, headers={"If-None-Match": 'W/"0"'}).get_data().startswith(b"1 ")
    assert figures.asked == 1


@pytest.mark.parametrize("status", [422, 503])
def test_error_is_not_kept(figures: Figures, status: int) -> None:
    figures.status = status
    assert [figures.client.get(PATH).status_code for _ in range(2)] == [status] * 2
    assert figures.asked == 2


def pending() -> float:
    """How many requests compute an answer or wait for one."""
    return REGISTRY.get_sample_value("peacewatch_http_figures_pending") or 0.0


def at_once(figures: Figures, meanwhile: Callable[[], None] = lambda: None) -> list[TestResponse]:
    """The answers to twenty equal requests; `meanwhile` happens while one computes and the others wait."""
    figures.goes_on = threading.Event()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(figures.client.get, PATH) for _ in range(20)]
        wait_for(lambda: pending() == 20 and figures.asked == 1)
        meanwhile()
        figures.goes_on.set()
        return [answer.result(30) for answer in asked]


def test_equal_requests_at_once_wait_for_one_answer(figures: Figures) -> None:
    answers = at_once(figures)
    assert {answer.get_data() for answer in answers} == {figures.client.get(PATH).get_data()}
    assert figures.asked == 1


def test_version_that_arrives_meanwhile_is_computed_once_too(figures: Figures) -> None:
    at_once(figures, lambda: setattr(figures, "stamp", 2))
    assert figures.client.get(PATH).get_data().startswith(b"2 ")
    assert figures.asked == 2


def test_error_is_shared_by_the_requests_that_waited_for_it(figures: Figures) -> None:
    figures.status = 503
    assert {answer.status_code for answer in at_once(figures)} == {503}
    assert figures.asked == 1
    assert figures.client.get(PATH).status_code == 503
    assert figures.asked == 2


def test_request_that_ends_with_an_old_error_does_not_end_newer_work(figures: Figures) -> None:
    """Four requests: the first fails, the second gets that error, the third computes again, the fourth waits for it."""
    figures.status = 503
    with ThreadPoolExecutor(4) as pool:

        def ask(requests: int) -> Future[TestResponse]:
            answer = pool.submit(figures.client.get, PATH)
            wait_for(lambda: pending() == requests)
            return answer

        first_ends, third_ends, second_leaves = threading.Event(), threading.Event(), threading.Event()
        figures.goes_on = first_ends
        first, second = ask(1), ask(2)
        wait_for(lambda: figures.asked == 1)
        looks = figures.looks
        figures.looks_on = second_leaves  # before it leaves, the second looks which is newest
        first_ends.set()
        assert first.result(30).status_code == 503
        wait_for(lambda: figures.looks == looks + 1)
        figures.goes_on, figures.looks_on = third_ends, threading.Event()
        figures.looks_on.set()
        third = ask(2)
        second_leaves.set()
        assert second.result(30).status_code == 503
        fourth = ask(2)
        third_ends.set()
        assert {third.result(30).status_code, fourth.result(30).status_code} == {503}
    assert figures.asked == 2


def test_other_requests_are_not_cached(figures: Figures) -> None:
    for _ in range(2):
        figures.client.post(PATH)
        figures.client.get("/api/v1/alerts")
    assert figures.asked == 4


def test_cache_is_bounded(figures: Figures) -> None:
    figures.size = KEPT_BYTES // 10
    for country in range(12):
        figures.client.get(PATH, query_string={"country": country})
    figures.client.get(PATH, query_string={"country": 0})
    assert figures.asked == 13
    figures.size = KEPT_BYTES + 1
    assert figures.client.get(PATH, query_string={"country": 99}).status_code == 200


def test_hits_and_misses_of_the_cache_are_counted(figures: Figures) -> None:
    before = counted()
    for _ in range(3):
        figures.client.get(PATH)
    hits, misses = (now - then for now, then in zip(counted(), before, strict=True))
    assert (hits, misses) == (2, 1)


def counted() -> tuple[float, float]:
    name = "peacewatch_http_figures_cache_total"
    hits, misses = (REGISTRY.get_sample_value(name, {"result": result}) for result in ("hit", "miss"))
    return hits or 0.0, misses or 0.0
