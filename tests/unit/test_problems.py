"""An error is a page for who asks for one, and JSON for programs."""

from __future__ import annotations

import pytest
from flask import Flask

from serving.http import problems

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("application/json;q=0.5, text/html", True),
        ("application/json, text/html", False),
        ("application/json", False),
        ("application/problem+json, text/html", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_client_that_accepts_json_gets_no_page(accept: str, is_page: bool) -> None:
    with Flask(__name__).test_request_context("/reports/2026-11-23", headers={"Accept": accept}):
        assert problems._wants_a_page() == is_page
