"""The channels: their webhooks, and their messages in the shape that Discord returns.

A change is a plain dictionary (`kind`, and what it changes). After a restart, applying the changes in the log in order
restores the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

GUILD: Final = "100"
WEBHOOKS: Final = {"1": "alerts", "2": "severe", "3": "operators", "4": "reports"}
"""The webhooks of a new stand-in: id to token, which also names the channel."""

EPOCH_MS: Final = 1_420_070_400_000
"""First millisecond of Discord's ids. https://docs.discord.com/developers/reference#snowflakes"""

Change = Mapping[str, Any]


@dataclass
class StandinWebhook:
    """One webhook; `token` is None once it is deleted."""

    id: str
    token: str | None
    name: str

    @property
    def channel_id(self) -> str:
        return f"10{self.id}"


@dataclass
class KeptMessage:
    """A message with its history; times are RFC 3339. `calls`: whom it would mention, over all its versions."""

    message: dict[str, Any]
    webhook: str
    posted_at: str
    edited_at: list[str] = field(default_factory=list)
    deleted_at: str | None = None
    calls: dict[str, Any] = field(default_factory=dict)


class Channels:
    """State of the stand-in; only `apply` changes it."""

    def __init__(self) -> None:
        self.webhooks = {key: StandinWebhook(key, token, token) for key, token in WEBHOOKS.items()}
        self.messages: dict[str, KeptMessage] = {}
        self.version = 0
        self._last_id = 0

    def new_id(self, now: float) -> str:
        """The next snowflake, greater than all before, also after a restart and when the clock stands still."""
        self._last_id = max(self._last_id + 1, (int(now * 1000) - EPOCH_MS) << 22)
        return str(self._last_id)

    def find(self, webhook: str, message_id: str) -> KeptMessage | None:
        """The message, unless it is unknown, deleted, or another webhook's."""
        kept = self.messages.get(message_id)
        return kept if kept and kept.webhook == webhook and kept.deleted_at is None else None

    def apply(self, change: Change) -> None:
        """Applies one change, whether from a request or from the log after a restart."""
        self.version += 1
        getattr(self, f"_{change['kind']}")(change)

    def _post(self, change: Change) -> None:
        message = dict(change["message"])
        self.messages[message["id"]] = KeptMessage(message, change["webhook"], change["at"], calls=change["calls"])
        ids = [message["id"], *(attachment["id"] for attachment in message["attachments"])]
        self._last_id = max(self._last_id, *map(int, ids))

    def _edit(self, change: Change) -> None:
        message = dict(change["message"])
        kept = self.messages[message["id"]]
        kept.message = message
        kept.edited_at.append(change["at"])
        kept.calls = {
            **kept.calls,
            **{name: kept.calls.get(name) or called for name, called in change["calls"].items()},
        }
        self._last_id = max([self._last_id, *(int(attachment["id"]) for attachment in message["attachments"])])

    def _delete(self, change: Change) -> None:
        self.messages[change["message_id"]].deleted_at = change["at"]

    def _webhook(self, change: Change) -> None:
        key = change["webhook"]
        known = self.webhooks.get(key)
        self.webhooks[key] = StandinWebhook(
            key, change["token"], change.get("name") or (known.name if known else f"channel-{key}")
        )

    def _clear(self, change: Change) -> None:
        if change["messages"]:
            self.messages.clear()
        self.webhooks = {key: StandinWebhook(key, token, token) for key, token in WEBHOOKS.items()}
