"""Settings of the web server: plain values, so that tests wire it with arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from fleet import topics
from infra.kafka.config import Address

Role = Literal["viewer", "operator"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator")

Open = Literal["figures", "nothing"]
"""What needs no token where tokens are set: figures, or nothing at all."""

MONGO_TIMEOUT_MS: Final = 2000
"""A request waits this long for a MongoDB that is away; longer, and waiting requests would use up the threads."""

MAX_BODY: Final = 64 * 1024
"""Bytes of a request's body: the largest is a note of an operator."""


@dataclass(frozen=True)
class Config:
    """`mongo_uri` names the database and may carry a password; `tokens` are secrets, too."""

    mongo_uri: str = field(repr=False)
    kafka_bootstrap: Address | None = None
    lake: str | None = None  # where single reports are read from
    actions_topic: str = topics.OPERATOR_ACTIONS
    rejected_topic: str = topics.REJECTED
    tokens: Mapping[str, Role] = field(default_factory=dict, repr=False)
    open_to_all: Open = "figures"
    hosts: tuple[str, ...] = ()  # names allowed in the Host header, besides localhost and IP addresses
    proxies: tuple[str, ...] = ()  # addresses of reverse proxies, whose X-Forwarded-For is believed
    max_age: float = 0.2  # seconds for which figures that were read are new enough
    rate_limit: str = "600 per second"  # for one address or token; an office shares an address
    public_url: str = ""
    stream_clients: int = 200  # open event streams; each holds a thread
    streams_a_client: int = 50  # of those, of one client
