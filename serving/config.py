"""Settings of the web server: plain values, so that tests wire it with arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from fleet import topics
from infra.kafka.address import Address
from serving import limits

Role = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")
"""A viewer looks, an operator also acts, an admin also ends other people's sessions."""

Open = Literal["figures", "nothing"]
"""What can be read without a token or sign-in where one is set up: figures, or nothing."""

MONGO_TIMEOUT_MS: Final = 2000
"""A request waits this long for a MongoDB that is away. With a longer wait, such requests would take all threads."""


@dataclass(frozen=True)
class Oidc:
    """The OpenID Connect provider where people sign in, and which of its claims say what they may do here."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str  # where the provider sends people back to: <public URL>/auth/callback
    roles_claim: str = "roles"
    name_claim: str = "preferred_username"
    roles: Mapping[str, Role] = field(default_factory=lambda: {role: role for role in ROLES})  # theirs -> ours


@dataclass(frozen=True)
class Config:
    """`mongo_uri` names the database and may carry a password; `tokens` are secrets, too."""

    mongo_uri: str = field(repr=False)
    kafka_bootstrap: Address | None = None
    lake: str | None = None  # where single reports are read from
    actions_topic: str = topics.OPERATOR_ACTIONS
    rejected_topic: str = topics.REJECTED
    tokens: Mapping[str, Role] = field(default_factory=dict, repr=False)
    oidc: Oidc | None = None  # single sign-on
    open_to_all: Open = "nothing"
    hosts: tuple[str, ...] = ()  # names allowed in the Host header, besides localhost and IP addresses
    proxies: tuple[str, ...] = ()  # addresses of reverse proxies, whose X-Forwarded-For is believed
    max_age: float = 0.2  # seconds after which figures are read again
    rate_limit: str = limits.RATE
    public_url: str = ""
    stream_clients: int = limits.STREAMS
    streams_a_client: int = limits.STREAMS_A_CLIENT

    @property
    def is_guarded(self) -> bool:
        """Whether a token or a sign-in is needed; else everybody is an operator."""
        return bool(self.tokens) or self.oidc is not None

    @property
    def has_open_figures(self) -> bool:
        """Whether anybody can read figures."""
        return not self.is_guarded or self.open_to_all == "figures"
