"""Asks a service on this machine over HTTP whether it is ready: one client for all probes.

A client of its own would load the machine's certificates for each probe: 30 ms of processor time, several times a
second and for several services at once, while they need the processor for their start.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import httpx

SECONDS: Final = 5.0
"""A busy service may answer so late; one that takes longer is not ready."""


def get(url: str) -> httpx.Response:
    """The answer. Raises httpx.HTTPError."""
    return _client().get(url)


@cache
def _client() -> httpx.Client:
    # No connection is kept between two probes: a service may be another process by then.
    return httpx.Client(timeout=SECONDS, limits=httpx.Limits(max_keepalive_connections=0))
