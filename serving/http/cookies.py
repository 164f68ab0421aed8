"""Cookies that no script can read, and that a server with https sends encrypted only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from werkzeug.wrappers import Response

from serving.config import Config


@dataclass(frozen=True)
class Cookie:
    """A cookie that a browser keeps for `lasts`. `Lax`: it also comes along when another site leads here."""

    name: str
    value: str
    lasts: timedelta
    path: str = "/"
    samesite: Literal["Strict", "Lax"] = "Strict"


def keep(response: Response, config: Config, cookie: Cookie) -> None:
    """Has the browser keep `cookie`."""
    response.set_cookie(
        cookie.name,
        cookie.value,
        max_age=cookie.lasts,
        path=cookie.path,
        secure=config.public_url.startswith("https://"),
        httponly=True,
        samesite=cookie.samesite,
    )
