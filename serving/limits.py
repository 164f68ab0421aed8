"""Default limits of the web port, for one client and for all together."""

from __future__ import annotations

from typing import Final

RATE: Final = "600 per second"
"""Requests of one address or token (serving/http/rate_limit.py); an office shares an address."""

STREAMS: Final = 200
"""Open event streams (serving/events/hub.py); each holds a thread."""

STREAMS_A_CLIENT: Final = 50
"""Open event streams of one client: an office that shares an address leaves room for three others."""

MAX_BODY: Final = 64 * 1024
"""Bytes of a request's body (serving/front/requests.py): the largest is a note of an operator."""
