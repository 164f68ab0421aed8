"""The report's summary to Discord: one message with the first chart as a picture, and the link.

At least once: a message that Discord took and whose answer was lost is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx
from discord_webhook import DiscordEmbed, DiscordWebhook
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from fleet.errors import PeacewatchError, ServiceUnavailable
from fleet.text import plain, units
from serving.report import facts, figures, render, strings

ATTEMPTS: Final = 6
PATIENCE_S: Final = 60.0
"""No answer of Discord's makes us wait longer between two attempts; Airflow tries the task again later."""
PICTURE: Final = "chart.png"

DESCRIPTION: Final = 4000
"""UTF-16 units of lines; Discord takes 4,096 of a description (documentation, Embed Limits)."""
LINE: Final = 240


def post(webhook: str, report: facts.DayReport, before_each: Callable[[], None] = lambda: None) -> str:
    """Sends the summary with its picture; the id of the message. `webhook` is a secret and appears in no error.

    Raises ServiceUnavailable when Discord does not take it now, PeacewatchError when it never will, and what
    `before_each` raises, which is called before each attempt.
    """
    return _post(webhook, payload(report), before_each, render.to_picture(report))


def post_several(
    webhook: str, reports: Sequence[facts.DayReport], page: str, before_each: Callable[[], None] = lambda: None
) -> str:
    """Sends one message that names many revisions; else as `post`. `page` lists the reports."""
    return _post(webhook, several(reports, page), before_each)


def _post(webhook: str, form: dict[str, Any], before_each: Callable[[], None], picture: bytes = b"") -> str:
    with httpx.Client(timeout=20.0) as client:
        for attempt in Retrying(
            retry=retry_if_exception_type(ServiceUnavailable),
            stop=stop_after_attempt(ATTEMPTS),
            wait=_pause_after,
            reraise=True,
        ):
            before_each()
            with attempt:
                return _send(client, webhook, form, picture)
    raise AssertionError("unreachable: the last attempt raises")


def payload(report: facts.DayReport) -> dict[str, Any]:
    """The message: one embed, nothing that could mention anyone."""
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
    made: dict[str, Any] = webhook.json
    return {name: made[name] for name in ("embeds", "allowed_mentions")}


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
        raise ServiceUnavailable(f"Discord does not answer: {type(error).__name__}") from None
    if answer.is_success:
        return str(answer.json().get("id", ""))
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise ServiceUnavailable(f"Discord answers {answer.status_code}", _retry_after(answer))
    raise PeacewatchError(f"Discord does not take the report: it answers {answer.status_code}")


def _retry_after(answer: httpx.Response) -> float | None:
    try:
        return float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return None


def _pause_after(state: RetryCallState) -> float:
    """Seconds to the next attempt: as Discord asks, else growing pauses."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, ServiceUnavailable) else None
    return min(asked if asked is not None else 2.0**state.attempt_number, PATIENCE_S)
