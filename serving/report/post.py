"""Posts the report's summary to Discord: one message with the first chart as a picture, and the link.

It is posted at least once: if Discord accepted a message but its answer was lost, the message is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from discord_webhook import DiscordEmbed, DiscordWebhook
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from fleet.errors import PeacewatchError, ServiceUnavailable
from fleet.text import plain, units
from infra.discord import Unreachable, body_of, error_of
from serving.report import facts, figures, render, strings

ATTEMPTS: Final = 6
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts at most, whatever Discord asks for; Airflow retries the task later."""
PICTURE: Final = "chart.png"

DESCRIPTION: Final = 4000
"""UTF-16 units of lines; Discord accepts 4,096 in a description (documentation, Embed Limits)."""
LINE: Final = 240


@dataclass(frozen=True)
class Poster:
    """Posts to a webhook, whose URL is a secret and in no error.

    Each method gives the id of the message, and calls `before_each` before each attempt. It raises ServiceUnavailable
    when Discord does not accept the message now, PeacewatchError when it never will, and what `before_each` raises.
    """

    attempts: int = ATTEMPTS
    longest_pause: float = LONGEST_PAUSE
    transport: httpx.BaseTransport | None = None  # None: the network

    def post(self, webhook: str, report: facts.DayReport, before_each: Callable[[], None] = lambda: None) -> str:
        """Posts the summary with its picture."""
        return self._post(webhook, payload(report), before_each, render.to_picture(report))

    def post_several(
        self,
        webhook: str,
        reports: Sequence[facts.DayReport],
        page: str,
        before_each: Callable[[], None] = lambda: None,
    ) -> str:
        """Posts one message that names many revisions. `page` lists the reports."""
        return self._post(webhook, several(reports, page), before_each)

    def _post(self, webhook: str, form: dict[str, Any], before_each: Callable[[], None], picture: bytes = b"") -> str:
        with httpx.Client(timeout=20.0, transport=self.transport) as client:
            for attempt in Retrying(
                retry=retry_if_exception_type(ServiceUnavailable),
                stop=stop_after_attempt(self.attempts),
                wait=self._pause_after,
                reraise=True,
            ):
                before_each()
                with attempt:
                    return _send(client, webhook, form, picture)
        raise AssertionError("the last attempt raises")

    def _pause_after(self, state: RetryCallState) -> float:
        """Seconds to the next attempt: as many as Discord asks for, else growing ones."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ServiceUnavailable) else None
        return min(asked if asked is not None else 2.0**state.attempt_number, self.longest_pause)


def payload(report: facts.DayReport) -> dict[str, Any]:
    """The message: one embed, which can mention nobody."""
    colour = {"complete": "2c7a4b", "incomplete": "d55e00", "empty": "8a97a3"}[report.state]
    embed = DiscordEmbed(
        title=_title(report)[:256],
        description="\n".join(plain(line, 1000) for line in _lines(report)),
        color=colour,
        url=report.link or None,
    )
    for card in render.cards(report.headline):
        value = f"**{card['value']}** ({card['day_before']} on the day before)"
        embed.add_embed_field(name=card["label"].capitalize(), value=value, inline=True)
    embed.set_image(url=f"attachment://{PICTURE}")
    return _form(embed)


def several(reports: Sequence[facts.DayReport], page: str) -> dict[str, Any]:
    """The message of many revisions: a line a day of what changed, as many as fit."""
    lines: list[str] = []
    room = DESCRIPTION
    for report in reports:
        day = figures.long_day(report.day)
        line = f"{f'[{day}]({report.link})' if report.link else day}: {plain(strings.revised(report.changes), LINE)}"
        room -= units(line) + 1
        if room < 0:
            lines.append(strings.more_days(len(reports) - len(lines)))
            break
        lines.append(line)
    title = strings.several_revised(len(reports))
    return _form(DiscordEmbed(title=title, description="\n".join(lines), color="2c7a4b", url=page or None))


def _form(embed: DiscordEmbed) -> dict[str, Any]:
    webhook = DiscordWebhook(url="", embeds=[embed], allowed_mentions={"parse": []})
    form: dict[str, Any] = webhook.json
    return {name: form[name] for name in ("embeds", "allowed_mentions")}


def _title(report: facts.DayReport) -> str:
    revised = f" (revision {report.revision})" if report.revision else ""
    return f"Nightly report, {figures.long_day(report.day)}{revised}"


def _lines(report: facts.DayReport) -> list[str]:
    revised = [f"Revised: {strings.revised(report.changes)}"] if report.revision else []
    verdict = strings.verdict(report.state, report.missing, for_good=report.misses_lost_alone)
    return [render.lead(report), verdict, *revised]


def _send(client: httpx.Client, webhook: str, form: dict[str, Any], picture: bytes) -> str:
    body = {"payload_json": httpx.Request("POST", "http://x", json=form).content.decode()}
    files = {"files[0]": (PICTURE, picture, "image/png")} if picture else None
    try:
        answer = client.post(webhook, params={"wait": "true"}, data=body, files=files)
    except httpx.HTTPError as error:
        raise Unreachable(f"Discord does not answer: {type(error).__name__}") from None
    if not answer.is_success:
        refusal = error_of(answer)
        raise refusal if refusal.recoverable else PeacewatchError(f"the report is not posted: {refusal}")
    message_id = body_of(answer).get("id")
    if not message_id:
        raise Unreachable("Discord accepted the report without giving its message's id")
    return str(message_id)
