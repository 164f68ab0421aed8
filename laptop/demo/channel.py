"""Counts the alerts that the messages in the Discord stand-in's channel represent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from fleet.alerts.alert import Kind
from fleet.errors import ServiceUnavailable
from fleet.notifications.message import KINDS

FIELD: Final = "Alerts"
OTHER: Final = "other"
"""The kind of alerts that a digest counts without naming it."""

_ROW: Final = re.compile(r"^\*\*(?P<count>\d+)\*\* (?P<kind>[^·]+?) ·", re.MULTILINE)
_KIND_OF: Final[Mapping[str, Kind]] = {words.lower(): kind for kind, words in KINDS.items()}


@dataclass(frozen=True)
class Channel:
    """`delivered`: the alerts, by kind, that the latest version of each message contains or counts."""

    messages: int
    delivered: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.delivered.values())


def channel(url: str) -> Channel:
    """The channel of the stand-in at `url`. Raises ServiceUnavailable when it does not answer."""
    try:
        answer = httpx.get(f"{url}/control/messages", timeout=30)
        answer.raise_for_status()
        messages = answer.json()["messages"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise ServiceUnavailable(f"the Discord stand-in at {url} does not answer: {type(error).__name__}") from None
    return Channel(len(messages), count(embed for message in messages for embed in message.get("embeds", ())))


def count(embeds: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many alerts `embeds` represent, by kind."""
    alerts: Counter[str] = Counter()
    for embed in embeds:
        fields = {field["name"]: field["value"] for field in embed.get("fields", ())}
        if FIELD in fields:
            alerts.update(_by_kind(embed, int(fields[FIELD])))
    return dict(alerts)


def _by_kind(embed: Mapping[str, Any], alerts: int) -> dict[str, int]:
    """An incident's title names its kind. A digest has a row for each place and kind, while there is room."""
    title = str(embed.get("title", "")).lower()
    for words, kind in _KIND_OF.items():
        if re.match(rf"(resolved: |quiet: )?{words}\b", title):
            return {kind: alerts}
    kinds: Counter[str] = Counter()
    for row in _ROW.finditer(str(embed.get("description", ""))):
        kinds[_KIND_OF.get(row["kind"].strip().lower(), OTHER)] += int(row["count"])
    kinds[OTHER] += alerts - kinds.total()
    return {kind: number for kind, number in kinds.items() if number}
