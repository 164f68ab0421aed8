"""Makes the data of a running 0.1.0, on which tests start today's version: tests/data/version_0_1_0.tar.xz.

    python -m tests.support.old_version     some minutes; needs the whole history of the repository

The code of COMMIT runs with today's environment (it finds all that it needs but its web server; its app answers
without one). The archive holds what an upgrade finds: Kafka's folder (the lake's offsets belong to its topics' ids),
MongoDB's documents as extended JSON, the lake with its nightly reports, and the stand-in's channel. What 0.1.0 said of
it: `answers.json` has its API's answers before the last reports came, `computed.json` those after one more batch run,
which the archive's MongoDB and lake have not had, and `facts.json` what was pending when it stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from bson import json_util
from kafka.admin import ConfigResource, ConfigResourceType
from pymongo import MongoClient

from infra.kafka import clients
from infra.kafka.topics import TOPICS
from laptop import ports
from laptop.demo.watch import StackAddresses, Watch
from laptop.services import kafka, mongo
from laptop.supervision import processes
from tests.support.landing import send

COMMIT: Final = "b965b09fcaaa"
"""The last one of 0.1.0."""

ARCHIVE: Final = Path(__file__).parents[1] / "data" / "version_0_1_0.tar.xz"
FOLDERS: Final = ("kafka", "lake", "discord", "documents")
JSON: Final = ("answers.json", "computed.json", "facts.json")
WAIT_SECONDS: Final = 240
COMMANDS: Final = ("land", "alerting", "notify", "record")
YEARS_SECONDS: Final = 20 * 365 * 24 * 3600
SETTINGS: Final = {
    "PEACEWATCH_INCIDENT_QUIET_SECONDS": str(YEARS_SECONDS),
    "PEACEWATCH_INCIDENT_RESOLVE_SECONDS": str(YEARS_SECONDS),
    "PEACEWATCH_INCIDENT_REPEAT_SECONDS": str(YEARS_SECONDS),
}
"""Incidents stay open, however old the archive is when a test starts on it."""

CITIES: Final = [("Hamburg", "Germany", 53.55, 9.99), ("Lyon", "France", 45.76, 4.84), ("東京", "日本", 35.68, 139.69)]


def report(number: int, at: datetime, *, alert: bool = False, city: int | None = None) -> dict[str, Any]:
    name, country, latitude, longitude = CITIES[number % len(CITIES) if city is None else city]
    return {
        "report_id": f"r{number}",
        "drone_id": f"drone-{number % 20}",
        "reported_at": at.isoformat(timespec="milliseconds"),
        "latitude": latitude,
        "longitude": longitude,
        "battery": 20 + number % 800 / 10,
        "citizens": [{"name": "Zoë Ada", "peace_score": 1 + (number + n) % 10} for n in range(1 + number % 3)],
        "message": f"they walk {number}",
        "alert": alert,
        "country": country,
        "city": name,
    }


class OldStack:
    """Services of today, and commands of the old code in `code`."""

    def __init__(self, home: Path, code: Path) -> None:
        self.home, self._code = home, code
        self.broker = kafka.start(home, ports.free_port())
        self.database = mongo.start(home, ports.free_port())
        self._discord = ports.free_port()
        self.lake = str(home / "lake")
        self._running: dict[str, processes.Child] = {}
        self._environ = {
            "PYTHONPATH": str(code),
            "PEACEWATCH_HOME": str(home),
            "PEACEWATCH_KAFKA_BOOTSTRAP": self.broker.address,
            "PEACEWATCH_MONGO_URI": self.database.uri,
            "PEACEWATCH_DISCORD_PORT": str(self._discord),
            **SETTINGS,
        }
        self.python("-c", f"from stack import kafka_topics; kafka_topics.create_topics({self.broker.address!r})")
        self.watch = Watch(StackAddresses(self.broker.address, self.lake, self.database.uri, None))

    def python(self, *arguments: object, text: str | None = None) -> str:
        """What the old code prints; -P: the folder of today's code is not on its path."""
        line = [sys.executable, "-P", *map(str, arguments)]
        environ = {**os.environ, **self._environ}
        done = subprocess.run(line, env=environ, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stderr[-3000:]}"
        return done.stdout

    def run(self, *arguments: object) -> None:
        print(self.python("-m", "stack", *arguments).strip())

    def start(self, command: str) -> processes.Child:
        line = [sys.executable, "-P", "-m", "stack", command]
        log = self.home / "log" / f"{command}.log"
        self._running[command] = processes.start(command, line, log, env=self._environ)
        return self._running[command]

    def start_standin(self) -> None:
        page = f"http://127.0.0.1:{self._discord}/control"
        self.start("discord-standin").wait_ready(lambda: ports.answers(self._discord), WAIT_SECONDS)
        httpx.post(f"{page}/limits", json={"burst_requests": 0, "minute_requests": 0}).raise_for_status()

    def stop(self, command: str) -> None:
        self._running.pop(command).stop()

    def api(self, requests: list[Any]) -> dict[str, Any]:
        script = Path(__file__).with_name("api_answers.py")
        printed = self.python(script, self.database.uri, self.lake, self.broker.address, text=json.dumps(requests))
        answers: dict[str, Any] = json.loads(printed)
        return answers

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < until, f"{what} did not happen; logs are in {self.home}"
            time.sleep(0.2)

    def close(self) -> None:
        self.watch.close()
        for child in self._running.values():
            child.kill()


def make(stack: OldStack) -> None:
    """The data of three days, and the two JSON files."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [(today - timedelta(days=back)).date() for back in (2, 1)]
    stack.start_standin()
    for command in COMMANDS:
        stack.start(command)
    first = [report(n, today - timedelta(hours=48 - n % 46), alert=n % 10 == 0) for n in range(400)]
    again = [first[n] for n in (3, 7, 11)]  # duplicates
    wrong: list[Any] = [b"not json", b"", {"drone_id": "drone-1", "report_id": "x"}]
    send(stack.broker.address, "reports", [*first, *again, *wrong])
    settle(stack)
    stack.run("aggregate")
    stack.run("report", "build", "--day", days[1])
    stack.run("report", "publish", "--day", days[1])
    late = [report(n, today - timedelta(hours=n % 40), alert=n % 20 == 0) for n in range(400, 500)]
    send(stack.broker.address, "reports", late)
    settle(stack)
    incidents = stack.api(["/api/v1/incidents"])["/api/v1/incidents"]["incidents"]
    chosen = next(each for each in incidents if each["city"] == "Lyon")
    acknowledged = f"/api/v1/incidents/{chosen['incident_id']}/acknowledge"
    silence = {"by": "Mara", "note": "a fair", "city": "Paris", "minutes": 10_000}
    stack.api([[acknowledged, {"by": "Mara", "note": "on my way"}], ["/api/v1/silences", silence]])
    with closing(MongoClient[dict[str, Any]](stack.database.uri, tz_aware=True)) as client:
        documents = client.get_default_database()
        stack.wait(lambda: documents.actions.count_documents({}) == 2, "the record of two actions")
        stack.wait(
            lambda: documents.incidents.count_documents({"acknowledged_by": {"$nin": [None, ""]}}) > 0, "acknowledging"
        )
        stack.stop("land")  # its last states are written
        answers = stack.api(asked(days[0].isoformat(), today.date().isoformat(), days[1].isoformat()))
        before = sum(stack.watch.raised().values())
        stack.stop("notify")
        pending = [report(n, now, alert=n % 4 == 0, city=n % 2) for n in range(500, 540)]
        send(stack.broker.address, "reports", pending)
        stack.wait(lambda: stack.watch.unjudged() == 0, "judging")
        raised = sum(stack.watch.raised().values())
        for command in ("alerting", "record", "discord-standin"):
            stack.stop(command)
        facts = {
            "commit": COMMIT,
            "made_at": now.isoformat(),
            "days": [day.isoformat() for day in days],
            "today": today.date().isoformat(),
            "landed": stack.watch.landed(),
            "unlanded": stack.watch.unlanded(),
            "rejected": len(wrong),
            "raised": raised,
            "unnotified": raised - before,
            "acknowledged": chosen["incident_id"],
        }
        (stack.home / "documents").mkdir()
        for name in documents.list_collection_names():
            lines = [
                json_util.dumps(each, json_options=json_util.CANONICAL_JSON_OPTIONS) for each in documents[name].find()
            ]
            (stack.home / "documents" / f"{name}.jsonl").write_text(
                "".join(f"{line}\n" for line in lines), encoding="utf-8"
            )
    shutil.copytree(stack.lake, stack.home / "kept")
    stack.run("aggregate")
    computed = stack.api(asked(days[0].isoformat(), today.date().isoformat(), days[1].isoformat()))
    shutil.rmtree(stack.lake)
    (stack.home / "kept").rename(stack.lake)
    for name, content in zip(JSON, (answers, computed, facts), strict=True):
        (stack.home / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    print(json.dumps(facts, indent=1))
    keep_for_ever(stack.broker.address)


def settle(stack: OldStack) -> None:
    """Until all is landed and judged, and every alert notified and recorded."""
    stack.wait(lambda: stack.watch.unlanded() == 0 and stack.watch.unjudged() == 0, "landing and judging")
    with closing(MongoClient[dict[str, Any]](stack.database.uri)) as client:
        alerts = client.get_default_database().alerts
        stack.wait(lambda: alerts.count_documents({}) >= sum(stack.watch.raised().values()), "recording")
        stack.wait(lambda: alerts.count_documents({"delivered_at": None}) == 0, "notifying")


def asked(first: str, last: str, *reported: str) -> list[str]:
    """Addresses whose answers depend on what is stored, not on the time of asking. `reported`: days with a report."""
    within = f"from={first}&to={last}"
    statistics = (
        *("averages", "alerts-by-country", "alerts-by-part-of-day", "alerts-by-weekday", "low-battery"),
        *("alerts-by-peace-score", "cities", "delays", "alerts-by-kind"),
    )
    return [
        *(f"/api/v1/statistics/{name}?{within}" for name in statistics),
        *(f"/api/v1/statistics/series?{within}&group={group}" for group in ("hour", "day")),
        *(f"/api/v1/{name}?{within}" for name in ("places", "completeness")),
        *(f"/api/v1/{name}?limit=500" for name in ("alerts", "incidents", "actions", "drones")),
        f"/api/v1/drones/drone-3/days?{within}",
        f"/api/v1/drones/drone-3/track?date={first}",
        f"/api/v1/reports?date={first}&drone=drone-3",
        "/api/v1/drones/drone-3",
        "/api/v1/nightly-reports",
        *(f"/api/v1/nightly-reports/{day}/json" for day in reported),
    ]


def keep_for_ever(bootstrap: str) -> None:
    """A test may start on the archive years later: the broker must not expire what it holds."""
    with closing(clients.admin(bootstrap)) as admin:
        for name in TOPICS:
            config = {"retention.ms": "-1", "retention.bytes": "-1"}
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)], incremental=True)


@contextmanager
def checked_out() -> Iterator[Path]:
    root = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory(prefix="peacewatch-0.1.0-") as folder:
        code = Path(folder) / "code"
        subprocess.run(["git", "-C", root, "worktree", "add", "-q", "--detach", code, COMMIT], check=True)
        try:
            yield code
        finally:
            subprocess.run(["git", "-C", root, "worktree", "remove", "--force", code], check=True)


def main() -> None:
    with checked_out() as code, tempfile.TemporaryDirectory(prefix="peacewatch-old-") as folder:
        home = Path(folder)
        stack = OldStack(home, code)
        try:
            make(stack)
        finally:
            stack.close()
            stack.broker.stop()
            stack.database.stop()
        with tarfile.open(ARCHIVE, "w:xz") as archive:
            for name in (*FOLDERS, *JSON):
                archive.add(home / name, name)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
