"""One request to Discord within the budget, and what follows when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from structlog import get_logger

from fleet.notifications.message import Embed, digest_embed, incident_embeds
from fleet.notifications.notification import Notification
from fleet.notifications.policy import Allowance
from fleet.notifications.state import NotificationState
from infra.discord import DiscordError, DiscordRefused, MessageGone, RateLimited, WebhookDead
from infra.retry import Backoff
from speed_layer.notifying.discord.rate_limit import Budget
from speed_layer.notifying.discord.webhook import Webhook

log = get_logger()

URGENT_SHARE: Final = 0.5
"""An edit that is overdue may use half of what is reserved for first posts."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds after one failure, and at most after many in a row."""

JITTER: Final = 0.25
"""The share by which a pause is longer or shorter by chance, so that two webhooks do not come back at once."""

DEAD_PAUSE: Final = 300.0
"""Seconds between requests to a dead webhook: every invalid answer counts towards a ban (10,000 in ten minutes)."""

HELD: Final = ((RateLimited, "rate limited"), (DiscordRefused, "refused"), (WebhookDead, "webhook dead"))
"""How a delivery names the failure of the requests before it; any other failure is "unreachable"."""

STARTED: Final = "started"
"""The same for a notifier's first request: before it, perhaps no notifier was running."""

LOOK_EVERY: Final = 2.0
"""Seconds between looks at the file that may hold a new URL."""


@dataclass
class Sender:
    """Sends notifications to the webhook at `url()`, which is called again while the webhook is dead.

    `clock` never goes back.
    """

    url: Callable[[], str]
    web_url: str
    clock: Callable[[], float]
    connect: Callable[[str], Webhook] = Webhook
    budget: Budget = field(default_factory=Budget)
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE, LONGEST_PAUSE, JITTER))
    dead: str = ""  # why the webhook accepts nothing more; empty: it does
    held: str = ""  # of HELD: what the last accepted request had to wait for
    _trouble: str = STARTED  # the same of the request that is not accepted yet
    _used: str = ""
    _webhook: Webhook | None = None
    _looked_at: float = float("-inf")

    def allowance(self) -> Allowance:
        """Which requests may go now."""
        if self.dead:
            self._look_for_a_new_url()
        now = self.clock()
        first, urgent, edit = (self.budget.wait(now, share) <= 0 for share in (0.0, URGENT_SHARE, 1.0))
        return Allowance(first, urgent, edit)

    def send(self, notification: Notification, state: NotificationState) -> str | None:
        """The message's id when Discord accepted it; else None, with the failure entered into `state` and the
        budget."""
        try:
            embeds = _embeds(notification, self.web_url)
        except Exception:  # one that cannot be rendered must not block the others
            log.exception("a notification cannot be rendered", incidents=_ids(notification))
            state.refused(notification)
            return None
        try:
            message_id = self._request(notification, embeds)
        except DiscordError as error:
            self._fail(error, notification, state)
            return None
        finally:
            self.budget.spend(self.clock())
            if self._webhook is not None:
                pace = self._webhook.last_pace
                self.budget.learn(pace.remaining, pace.reset_after, self.clock())
        self.backoff.succeed()
        self.dead = ""
        self.held, self._trouble = self._trouble, ""
        return message_id

    def close(self) -> None:
        if self._webhook is not None:
            self._webhook.close()

    def _request(self, notification: Notification, embeds: list[Embed]) -> str:
        webhook = self._open()
        if notification.method == "post":
            return webhook.post(embeds)
        webhook.edit(notification.message_id, embeds)
        return notification.message_id

    def _fail(self, error: DiscordError, notification: Notification, state: NotificationState) -> None:
        if not isinstance(error, MessageGone):
            self._trouble = next((name for kind, name in HELD if isinstance(error, kind)), "unreachable")
        if isinstance(error, RateLimited):
            log.warning("Discord asks to wait", seconds=error.retry_after, everywhere=error.everywhere)
            self.budget.hold(error.retry_after or 0.0, self.clock())
        elif isinstance(error, MessageGone):
            log.warning("a message was deleted; its incidents are notified again", message_id=notification.message_id)
            state.message_deleted(notification.message_id)
        elif isinstance(error, DiscordRefused):
            # No pause: Discord is there, and the next message may be another drone's. The budget has counted this one.
            log.error("Discord refuses a message", reason=error, incidents=_ids(notification))
            state.refused(notification)
        elif isinstance(error, WebhookDead):
            if not self.dead:
                log.error("the webhook is dead: alerts wait until its URL is replaced", reason=error)
            self.dead = str(error)
            self.budget.hold(DEAD_PAUSE, self.clock())
        else:
            self.budget.hold(max(self.backoff.fail(), error.retry_after or 0.0), self.clock())
            log.warning("Discord cannot be reached", reason=error, failures=self.backoff.failures)

    def _open(self) -> Webhook:
        if self._webhook is None:
            self._used = self.url()
            self._webhook = self.connect(self._used)
        return self._webhook

    def _look_for_a_new_url(self) -> None:
        if self.clock() - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = self.clock()
        if self.url() != self._used:
            log.info("the webhook's URL was replaced")
            self.close()
            self._webhook, self.dead = None, ""
            self.budget = Budget()


def _embeds(notification: Notification, web_url: str) -> list[Embed]:
    if notification.digest is not None:
        return [digest_embed(notification.digest, web_url, notification.is_plain)]
    return incident_embeds(notification.slots, notification.shown, notification.message_id, notification.plain)


def _ids(notification: Notification) -> list[str]:
    return [slot.incident_id for slot in notification.slots]
