"""How far behind each layer is, from its own records. The facts of a part that does not answer are left out, and `away`
names it. Nothing here raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from fleet import topics
from fleet.errors import ServiceUnavailable
from infra.kafka import clients, failures
from infra.kafka.address import Address, shown
from infra.kafka.partitions import of_topic
from infra.kafka.topics import id_of
from infra.mongo import client as mongo
from infra.mongo import runs
from infra.redaction import redact
from infra.settings import Settings
from laptop.services import kafka
from speed_layer import dead_mans_switch

LANDING: Final = "peacewatch-landing"
_WAIT_MS: Final = 3000


def read(settings: Settings) -> dict[str, Any]:
    """JSON: `lag` (messages by group), `troubles` of the alert pipeline (a sentence by its key; null: Kafka is away),
    `lake`, `batch`, `alerts`, and `away`: {part: reason}."""
    away: dict[str, str] = {}
    table = _try("lake", lambda: _table(settings.lake_location), away)
    facts: dict[str, Any] = {
        "lag": _try("kafka", lambda: _lags(settings.kafka, table), away) or {},
        "troubles": _try("kafka", lambda: _troubles(settings.kafka), away),
        "lake": _try("lake", lambda: _last_commit(table), away),
    }
    return {**facts, **(_try("mongo", lambda: _documents(settings.mongo), away) or {}), "away": away}


def _try(part: str, ask: Callable[[], Any], away: dict[str, str]) -> Any:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - each client has its own errors for a service that is away
        away[part] = redact(failures.sentence(error) or type(error).__name__)
        return None


def _table(lake: str) -> DeltaTable | None:
    try:
        return DeltaTable(f"{lake}/reports")
    except TableNotFoundError:
        return None


def _last_commit(table: DeltaTable | None) -> dict[str, Any] | None:
    if table is None:
        return None
    last = table.history(1)[0]
    at = datetime.fromtimestamp(last["timestamp"] / 1000, UTC).isoformat()
    return {"version": table.version(), "committed_at": at, "operation": last["operation"]}


def _require_reachable(bootstrap: Address) -> None:
    if not kafka.reachable(bootstrap):
        raise ServiceUnavailable(f"no broker accepts connections at {shown(bootstrap)}")


def _lags(bootstrap: Address, table: DeltaTable | None) -> dict[str, int]:
    _require_reachable(bootstrap)
    with closing(clients.admin(bootstrap)) as admin:
        with closing(clients.consumer(bootstrap, group_id=None, enable_auto_commit=False)) as consumer:
            ends = {place: end for topic in _TOPICS for place, end in _ends(admin, consumer, topic).items()}
        lags = {LANDING: _lag(ends, _landed(admin, table, ends), {topics.REPORTS})}
        for group, whole in _TOPICS_OF.items():
            offsets = admin.list_group_offsets(group)[group]
            committed = {place: offset.offset for place, offset in offsets.items()}
            lags[group] = _lag(ends, committed, whole & ({place.topic for place in committed} or whole))
        return lags


def _troubles(bootstrap: Address) -> dict[str, str]:
    _require_reachable(bootstrap)
    return dead_mans_switch.known(bootstrap)


_TOPICS_OF: Final[Mapping[str, set[str]]] = {
    "peacewatch-alerting": {topics.REPORTS},
    "peacewatch-notifier-alerts": {topics.ALERTS},
    "peacewatch-recorder": {topics.ALERTS, topics.DELIVERIES},
}
_TOPICS: Final = (topics.REPORTS, topics.ALERTS, topics.DELIVERIES)


def _landed(
    admin: KafkaAdminClient, table: DeltaTable | None, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Next offsets by the table's own `txn` entries: what the lake has, whatever the group has committed."""
    if table is None:
        return {}
    topic_id = id_of(admin, topics.REPORTS)
    places = [place for place in ends if place.topic == topics.REPORTS]
    return {place: table.transaction_version(f"{topic_id}/{place.partition}") or 0 for place in places}


def _ends(admin: KafkaAdminClient, consumer: KafkaConsumer, topic: str) -> dict[TopicPartition, int]:
    partitions = of_topic(consumer, topic)
    if not partitions:
        id_of(admin, topic)  # raises if ACLs hide it from us: it would have no lag
        return {}
    return dict(consumer.end_offsets(partitions))


def _lag(ends: Mapping[TopicPartition, int], committed: Mapping[TopicPartition, int], only: set[str]) -> int:
    return sum(max(0, end - committed.get(place, 0)) for place, end in ends.items() if place.topic in only)


def _documents(uri: str) -> dict[str, Any]:
    with mongo.connect(uri, "status", _WAIT_MS) as database:
        run = runs.newest(database)
        alerts = database.alerts
        return {
            "batch": run and {key: _json(run.get(key)) for key in ("_id", "version", "hours", "finished_at", "engine")},
            "alerts": {
                "recorded": alerts.estimated_document_count(),
                "undelivered": alerts.count_documents({"delivered_at": None}),
            },
        }


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
