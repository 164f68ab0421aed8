"""Failures on demand. A failure stays queued until it has met the given number of matching requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from laptop.discord_standin import answers
from laptop.discord_standin.answers import DiscordAnswer
from laptop.discord_standin.request import Request

UNLIMITED: Final = -1


@dataclass
class Failure:
    """`mode` for the next `times` requests (-1: until reset) whose body contains `match`, to `webhook`, of `method`.

    `seconds` is the delay of a slow answer, or the `retry_after` of a 429. The first `skip` matching requests pass.
    """

    mode: str
    times: int = 1
    match: str | None = None
    webhook: str | None = None
    method: str | None = None
    seconds: float | None = None
    scope: str = "user"
    skip: int = 0

    def matches(self, request: Request, webhook: str) -> bool:
        body = request.body.decode("utf-8", "replace")
        # JSON may be written with or without \\u escapes: look for both forms of the text
        forms = () if self.match is None else (self.match, self.match.encode("ascii", "backslashreplace").decode())
        return (
            (self.match is None or any(text in body for text in forms))
            and self.webhook in (None, webhook)
            and self.method in (None, request.method)
        )

    @property
    def taken(self) -> bool:
        """Whether the message is accepted in spite of the failure, which the sender cannot know."""
        return self.mode in TAKEN

    @property
    def counted(self) -> bool:
        """Whether Discord would have counted the request: not if its edge, or the limit itself, stopped it."""
        return not self.mode.startswith(("429", "ban", "reset-before"))

    def answer(self, real: DiscordAnswer | None = None) -> DiscordAnswer:
        """The answer to send instead of `real`, the answer of a request that was accepted."""
        if self.mode == "slow":
            return replace(real or answers.SERVER_ERROR, delay=10.0 if self.seconds is None else self.seconds)
        if self.mode.startswith("429"):
            return _too_many(self.mode, 1.0 if self.seconds is None else self.seconds, self.scope)
        answer = ANSWERS[self.mode]
        return replace(answer, delay=self.seconds or answer.delay)


TAKEN: Final = frozenset({"slow", "reset-after", "500-after", "502-after"})
_BAD_GATEWAY: Final = answers.from_edge(502, "502 Bad Gateway", "cloudflare")
_RESET: Final = DiscordAnswer(0, reset=True)
ANSWERS: Final[dict[str, DiscordAnswer]] = {
    "400": answers.invalid_form({"embeds": {"_errors": [{"code": "BASE_TYPE_BAD", "message": "Refused on demand."}]}}),
    "401": answers.UNAUTHORIZED,
    "401-token": answers.INVALID_TOKEN,
    "403": answers.FORBIDDEN,
    "403-blocked": answers.BLOCKED,
    "403-html": answers.from_edge(403, "403 Forbidden", "cloudflare"),
    "404": answers.UNKNOWN_WEBHOOK,
    "404-message": answers.UNKNOWN_MESSAGE,
    "500": answers.SERVER_ERROR,
    "500-after": answers.SERVER_ERROR,
    "502": _BAD_GATEWAY,
    "502-after": _BAD_GATEWAY,
    "503": answers.from_edge(503, "503 Service Temporarily Unavailable", "cloudflare"),
    "html": _BAD_GATEWAY,
    "html-200": answers.from_edge(200, "Just a moment...", "cloudflare"),
    "ban": answers.banned(600.0),
    "reset-before": _RESET,
    "reset-after": _RESET,
    "slow-before": replace(answers.from_edge(504, "504 Gateway Time-out", "cloudflare"), delay=10.0),
}
MODES: Final = ("429", "429-no-via", "429-html", "slow", *ANSWERS)


def _too_many(mode: str, seconds: float, scope: str) -> DiscordAnswer:
    if mode == "429-html":
        return answers.banned(seconds)
    answer = answers.too_many(seconds, scope)
    rate = {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": f"{seconds:.3f}"}
    headers = answer.headers | (rate if scope == "user" else {})
    if mode == "429-no-via":
        headers.pop("Via")
    return replace(answer, headers=headers)


class Failures:
    """The queued failures, oldest first."""

    def __init__(self) -> None:
        self.waiting: list[Failure] = []

    def add(self, wanted: dict[str, Any]) -> Failure:
        """Queues a failure; `next` is another name for `times`. Raises ValueError or TypeError for wrong fields."""
        if "next" in wanted:
            wanted = {"times": wanted["next"], **{name: value for name, value in wanted.items() if name != "next"}}
        failure = Failure(**{**wanted, "mode": str(wanted.get("mode")), "times": int(wanted.get("times", 1))})
        if failure.mode not in MODES:
            raise ValueError(f"mode is one of {', '.join(MODES)}")
        self.waiting.append(failure)
        return failure

    def take(self, request: Request, webhook: str) -> Failure | None:
        """The failure to apply to this request, if any. One of its `times` is used up."""
        for failure in self.waiting:
            if failure.matches(request, webhook):
                if failure.skip > 0:
                    failure.skip -= 1
                    continue
                if failure.times != UNLIMITED:
                    failure.times -= 1
                self.waiting = [queued for queued in self.waiting if queued.times != 0]
                return replace(failure)
        return None
