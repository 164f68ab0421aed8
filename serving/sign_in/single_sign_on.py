"""Single sign-on of one server as one value: its settings, the provider and the sessions."""

from __future__ import annotations

from dataclasses import dataclass

from serving.config import Oidc
from serving.sign_in.provider import Provider
from serving.sign_in.sessions import Sessions


@dataclass(frozen=True)
class SingleSignOn:
    oidc: Oidc
    provider: Provider
    sessions: Sessions

    def close(self) -> None:
        self.provider.close()
