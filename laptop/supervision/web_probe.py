"""Asks a service on this machine over HTTP whether it is ready, with one client for all probes.

A new client for each probe would load the machine's certificates each time: 30 ms of processor time, several times a
second and for several services, while they need the processor to start.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import httpx

SECONDS: Final = 5.0
"""A busy service may take this long to answer; a slower one is not ready."""


def get(url: str) -> httpx.Response:
    """The answer. Raises httpx.HTTPError."""
    return _client().get(url)


@cache
def _client() -> httpx.Client:
    # No connection is kept between two probes: a service may be another process by then.
    return httpx.Client(timeout=SECONDS, limits=httpx.Limits(max_keepalive_connections=0))
