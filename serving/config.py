"""What the web server is told: plain values, so that tests wire it with arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from fleet import topics
from infra.kafka.config import Address

Role = Literal["viewer", "operator"]

MONGO_TIMEOUT_MS: Final = 2000
"""A request waits this long for a MongoDB that is away; longer, and waiting requests would use up the threads."""


@dataclass(frozen=True)
class Config:
    """`mongo_uri` names the database and may carry a password; `tokens` are secrets, too."""

    mongo_uri: str = field(repr=False)
    kafka_bootstrap: Address | None = None
    lake: str | None = None  # where single reports are read from
    actions_topic: str = topics.OPERATOR_ACTIONS
    rejected_topic: str = topics.REJECTED
    tokens: Mapping[str, Role] = field(default_factory=dict, repr=False)
    max_age: float = 0.2  # seconds for which figures that were read are new enough
    rate_limit: str = "600 per second"  # for one address or token; an office shares an address
    public_url: str = ""
    stream_clients: int = 200  # open event streams; each holds a thread


def parse_tokens(text: str | None) -> dict[str, Role]:
    """`token:role[,token:role]` as a mapping. Raises ValueError, which does not tell the token."""
    tokens: dict[str, Role] = {}
    for entry in filter(None, (part.strip() for part in (text or "").split(","))):
        token, _, role = entry.rpartition(":")
        if not token or role not in ("viewer", "operator"):
            raise ValueError("each entry is token:role, and a role is viewer or operator")
        tokens[token] = role  # type: ignore[assignment]
    return tokens
