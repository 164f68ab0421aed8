"""Discord: asks each webhook for its name by a GET, which posts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

from cli.doctor.finding import Finding, fine, verdict, wrong
from infra.discord import Unreachable, body_of, error_of

PART: Final = "Discord"
SECONDS: Final = 10.0
LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}


def check(webhooks: Mapping[str, str | None]) -> Iterator[Finding]:
    """The findings of each webhook, by the name of its setting. Never shows a URL: anybody who has it can post."""
    for setting, url in webhooks.items():
        if url is None:
            mend = f"set {setting}: operators are notified of problems there"
            yield wrong(PART, setting, "no webhook is set", mend)
            continue
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            yield wrong(PART, setting, "is not https: others on the network can read and post", "use its https address")
            continue
        yield _ask(setting, url)


def _ask(setting: str, url: str) -> Finding:
    try:
        answer = httpx.get(url, timeout=SECONDS)
    except httpx.InvalidURL:
        return wrong(PART, setting, "is not a URL", f"copy the webhook's URL from Discord into {setting}")
    except httpx.HTTPError as error:
        return wrong(PART, setting, f"does not answer: {type(error).__name__}", "check the network and its proxy")
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return fine(PART, setting, "exists; it is rate limited now")
    refusal = None if answer.is_success else error_of(answer)
    if isinstance(refusal, Unreachable):
        return wrong(PART, setting, str(refusal), "this is temporary: check again in a few minutes")
    if refusal is not None:
        mend = f"it was deleted, or its token is wrong: create a new webhook and set {setting}"
        return wrong(PART, setting, f"answers {answer.status_code}", mend)
    webhook = body_of(answer)
    return verdict(
        PART,
        setting,
        "id" in webhook,
        f"webhook “{webhook.get('name') or ''}”" if "id" in webhook else "answers, but not as Discord does",
        "something else answers at this address: check the URL, the network and its proxy",
    )
