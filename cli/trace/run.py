"""What became of one report: its messages, its row and commit, duplicates and rejections, alerts and Discord messages.

Everything comes from what is stored. The steps of a service that does not answer are left out, and `away` names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from kafka.errors import KafkaError

from cli.trace import alerts, lake, topic
from cli.trace.steps import Step
from fleet import topics
from fleet.errors import ServiceUnavailable
from infra.kafka import failures
from infra.mongo import client
from infra.redaction import redact
from infra.settings import Settings

WAIT_MS = 5000


@dataclass
class Trace:
    """`steps` in the order in which a report meets them. `state`: a sentence. `away`: a sentence by service."""

    steps: list[Step] = field(default_factory=list)
    state: str = ""
    away: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"state": self.state, "steps": [step.as_json() for step in self.steps], "away": self.away}


def run(settings: Settings, drone: str, report: str, day: date | None = None) -> Trace:
    """The trace of the report `report` of `drone`. `day`: its UTC day, which saves reading the whole lake."""
    trace = Trace()
    table = _try(trace, "lake", lambda: lake.ReportsTable(settings.lake_location))
    rows = _try(trace, "lake", lambda: table.rows(drone, report, day)) if table else None
    landed = {(row.facts["kafka_partition"], row.facts["kafka_offset"]): row for row in rows or ()}
    messages = _try(trace, "Kafka", lambda: topic.near(settings.kafka, drone, report, landed)) or []
    topic_id = _try(trace, "Kafka", lambda: topic.topic_id(settings.kafka)) if messages else None
    places = {(topic_id or "", str(message.partition), str(message.offset)) for message in messages}
    rejections = _try(trace, "Kafka", lambda: list(topic.rejections(settings.kafka, drone, report, places))) or []
    unlanded = _unlanded(topic_id, table, messages, landed)
    _add_reports(trace, messages, rows or [], rejections, unlanded)
    times = {row.facts["reported_at"].astimezone(UTC) for row in rows or ()}
    trace.steps += _try(trace, "MongoDB", lambda: _alert_steps(settings, drone, report, times)) or []
    trace.state = _state(trace, bool(landed), bool(rejections), bool(unlanded))
    return trace


def _add_reports(
    trace: Trace,
    messages: list[topic.ReportMessage],
    rows: list[lake.LandedRow],
    rejections: list[Any],
    unlanded: set[str],
) -> None:
    landed = {row.source for row in rows}
    refused = {
        f"{topics.REPORTS}/{record.headers.get('partition')}/{record.headers.get('offset')}": record
        for record in rejections
    }
    on_topic = {message.source for message in messages}
    for message in messages:
        facts: dict[str, Any] = {"received_at": message.received_at, "bytes": message.size}
        if message.source in unlanded:
            facts["note"] = "not landed yet"
        is_first = message.source in landed or message.source in refused or message.source in unlanded
        trace.steps.append(Step("topic" if is_first else "duplicate", message.source, facts))
    trace.steps += [
        Step("topic", source, {"note": "has expired from the topic"})
        for source in sorted({*landed, *refused} - on_topic)
    ]
    for row in rows:
        version = {"version": row.version, "committed_at": row.committed_at}
        names = ("reported_at", "received_at", "country", "city", "alert")
        trace.steps.append(Step("lake", row.source, {"file": row.file, **version, **{n: row.facts[n] for n in names}}))
    for source, record in refused.items():
        facts = {name: record.headers.get(name, "") for name in ("reason", "detail", "received_at")}
        place = f"{topics.REJECTED}, offset {record.offset}"
        trace.steps.append(Step("rejected", source, {**facts, "kept_at": place}))


def _unlanded(
    topic_id: str | None,
    table: lake.ReportsTable | None,
    messages: list[topic.ReportMessage],
    landed: dict[tuple[int, int], lake.LandedRow],
) -> set[str]:
    """Messages that landing has not reached yet."""
    if table is None or topic_id is None:
        return set()
    return {
        message.source
        for message in messages
        if (message.partition, message.offset) not in landed
        and message.offset >= table.landed_before(topic_id, message.partition)
    }


def _alert_steps(settings: Settings, drone: str, report: str, times: set[datetime]) -> list[Step]:
    with client.connect(settings.mongo, "trace", WAIT_MS) as documents:
        rows = alerts.of_report(documents, drone, report, times)
        steps = [
            Step("alert", row.get("source", ""), {"alert_id": row["_id"], **{n: row.get(n) for n in alerts.SHOWN}})
            for row in rows
        ]
        return steps + [Step("message", "", facts) for facts in alerts.messages(documents, rows)]


def _state(trace: Trace, is_landed: bool, is_rejected: bool, is_unlanded: bool) -> str:
    alerted = [step for step in trace.steps if step.where == "alert"]
    parts = []
    if is_landed:
        parts.append("landed")
    if is_unlanded:
        parts.append("not landed yet")
    if is_rejected:
        parts.append("rejected")
    if alerted:
        pending = sum(not step.facts["delivered_at"] for step in alerted)
        parts.append("alert not delivered yet" if pending else "people were notified")
    if not parts:
        where = ": some services did not answer" if trace.away else " in the lake, on the topic, or in MongoDB"
        return f"not found{where}"
    return ", ".join(parts)


def _try(trace: Trace, service: str, ask: Callable[[], Any]) -> Any:
    if service in trace.away:
        return None
    try:
        return ask()
    except KafkaError as error:
        trace.away[service] = f"Kafka does not answer: {failures.sentence(error)}"
    except ServiceUnavailable as error:
        trace.away[service] = redact(str(error))
    return None
