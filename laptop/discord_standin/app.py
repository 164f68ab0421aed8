"""The stand-in as one object: a request in, an answer out, no sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from laptop.discord_standin import answers, page
from laptop.discord_standin.answers import DiscordAnswer, RequestRefused
from laptop.discord_standin.channel import Channels
from laptop.discord_standin.control import Control
from laptop.discord_standin.failures import Failures
from laptop.discord_standin.log import Log
from laptop.discord_standin.ratelimit import Limits, RateLimiter
from laptop.discord_standin.request import Request
from laptop.discord_standin.webhooks import ROUTE, Outcome, Webhooks, rfc3339

LOGGED_BODY: Final = 20_000  # characters of a refused request's body that the log keeps


class StandIn:
    """`folder` keeps the log; `clock` gives seconds since 1970."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time, limits: Limits | None = None) -> None:
        self.clock = clock
        self.channels, self.failures, self.limiter = Channels(), Failures(), RateLimiter(limits)
        self.log = Log(folder)
        self.webhooks = Webhooks(self.channels, self.log)
        self._control = Control(self)
        self._lock = threading.Lock()
        self._recover()

    def handle(self, request: Request) -> DiscordAnswer:
        """Answers any request. A change is on the disk before the answer is given."""
        if request.path.startswith("/api/"):
            with self._lock:
                return self._discord(request)
        if request.path.startswith("/control/"):
            if request.method == "GET":  # without the lock: reading a long log must block nobody
                return self._control.answer(request)
            with self._lock:
                return self._control.answer(request)
        if request.path.startswith("/attachments/"):
            return self._file(request.path)
        return page.answer(self.channels, request, self.clock())

    def change(self, change: dict[str, Any]) -> None:
        """Makes a change that does not come from a Discord request."""
        self.log.add({"at": rfc3339(self.clock()), "change": change}, durable=True)
        self.channels.apply(change)

    def close(self) -> None:
        self.log.close()

    def _discord(self, request: Request) -> DiscordAnswer:
        now = self.clock()
        route = ROUTE.fullmatch(request.path)
        webhook = route["webhook"] if route else ""
        entry: dict[str, Any] = {"at": rfc3339(now), "method": request.method, "webhook": webhook}
        entry |= {"message_id": route["message"] if route else None, "client": request.client}
        if ban := self.limiter.ban(request.client, now):
            answer, change = ban, None
        else:
            answer, change = self._answer(request, webhook, now, entry)
            self.limiter.note(request.client, answer, now)
        entry |= {"status": answer.status, "code": answer.code, "change": change}
        if change is None and answer.status >= 400:
            entry["body"] = request.body.decode("utf-8", "replace")[:LOGGED_BODY]
        self.log.add(entry, durable=change is not None)
        if change is not None:
            self.channels.apply(change)
        return answer

    def _answer(self, request: Request, webhook: str, now: float, entry: dict[str, Any]) -> Outcome:
        """Checks in Discord's order: the limit, the webhook, the form. A failure on demand comes before all of them."""
        failure = self.failures.take(request, webhook)
        bucket = self.limiter.bucket(webhook, request.method) if webhook in self.channels.webhooks else None
        if failure is not None:
            entry["failure"] = failure.mode
        if failure is not None and not failure.taken:
            if bucket and failure.counted:
                bucket.count(now)
            return failure.answer(), None
        limited, headers = bucket.take(now) if bucket else (None, {})
        entry["counted"] = limited is None and bucket is not None
        answer, change = (limited, None) if limited else self._outcome(request, now)
        answer = _with_headers(answer, headers)
        return (failure.answer(answer) if failure and not limited else answer), change

    def _outcome(self, request: Request, now: float) -> Outcome:
        try:
            return self.webhooks.answer(request, now)
        except RequestRefused as refused:
            return refused.answer, None

    def _file(self, path: str) -> DiscordAnswer:
        parts = path.split("/")
        content = self.log.file(parts[3]) if len(parts) == 5 else None
        kind = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif"}.get(
            path.rsplit(".", maxsplit=1)[-1].lower(), "application/octet-stream"
        )
        return answers.NOT_FOUND if content is None else DiscordAnswer(200, content, kind)

    def _recover(self) -> None:
        """Replays the changes in the log, and counts the last minute's requests towards the limits."""
        now = self.clock()
        for entry in self.log.entries():
            if entry.get("change"):
                self.channels.apply(entry["change"])
            age = now - page.seconds_of(entry["at"])
            if entry.get("counted") and 0 <= age < self.limiter.limits.minute_seconds:
                self.limiter.bucket(entry["webhook"], entry["method"]).count(now - age)


def _with_headers(answer: DiscordAnswer, headers: dict[str, str]) -> DiscordAnswer:
    return DiscordAnswer(answer.status, answer.body, answer.content_type, answer.headers | headers, answer.code)
