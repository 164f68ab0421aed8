"""What the tests of landing share: messages, a running lander, and a checker that knows nothing of the product's code.

The checker reads the broker's messages, the Parquet files of the table's newest version (DuckDB over exactly these) and
nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable
from kafka import TopicPartition

from infra.kafka import clients
from speed_layer.landing import lander
from tests.support.kafka_messages import messages

Place = tuple[int, int]

STARTED_AT = datetime.now(UTC)
"""So that a report of one number is the same report whenever a test makes it."""


def report(number: int, **changes: Any) -> dict[str, Any]:
    """A report as JSON has it; `changes` of None leave a field out."""
    fields = {
        "report_id": f"r{number}",
        "drone_id": f"drone-{number % 50}",
        "reported_at": (STARTED_AT - timedelta(minutes=number % 200)).isoformat(),
        "latitude": 48.85 + number % 10,
        "longitude": 2.35,
        "battery": number % 1000 / 10,
        "citizens": [{"name": f"Zoë {n}", "peace_score": 1 + (number + n) % 10} for n in range(number % 4)],
        "message": "calm",
        "alert": number % 100 == 0,
        "country": ("France", "日本", "Chad")[number % 3],
        "city": "Paris",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def send(
    bootstrap: str, topic: str, messages: Iterable[dict[str, Any] | bytes | None], partition: int | None = None
) -> int:
    """Sends reports, or bytes as they are; how many the broker acknowledged."""
    producer = clients.producer(bootstrap, acks="all", max_request_size=4_000_000)
    with closing(producer):
        sent = [
            producer.send(
                topic,
                json.dumps(message, ensure_ascii=False).encode() if isinstance(message, dict) else message,
                key=message["drone_id"].encode() if isinstance(message, dict) else b"?",
                partition=partition,
            )
            for message in messages
        ]
        for future in sent:
            future.get(timeout=60)
    return len(sent)


def config(
    bootstrap: str, topic: str, rejected: str, lake: Path, mongo_uri: str, **changes: Any
) -> lander.LandingConfig:
    settings: dict[str, Any] = {"seconds": 0.5, "idle_seconds": 0.2, "group": f"land-{topic}", **changes}
    return lander.LandingConfig(bootstrap, str(lake), mongo_uri, reports=topic, rejected=rejected, **settings)


def topic_id(bootstrap: str, topic: str) -> str:
    with closing(clients.admin(bootstrap)) as admin:
        return str(admin.describe_topics([topic])[0]["topic_id"])


def landed(lake: Path | str, columns: str = "*", rest: str = "") -> list[tuple[Any, ...]]:
    """Rows of the newest version, by DuckDB over exactly its files."""
    table = DeltaTable(f"{lake}/reports")
    files = table.file_uris()
    if not files:
        return []
    with duckdb.connect() as database:  # its own: the common one serves a single thread
        if "://" in files[0]:  # which DuckDB reads with an extension only
            database.register("reports", table.to_pyarrow_table())
            return database.sql(f"select {columns} from reports {rest}").fetchall()
        query = f"select {columns} from read_parquet({files!r}, hive_partitioning = true) {rest}"
        return database.sql(query).fetchall()


def unlanded(bootstrap: str, topic: str, lake: Path | str) -> int:
    """Messages that the table's entries do not cover."""
    if not DeltaTable.is_deltatable(f"{lake}/reports"):
        return -1
    table, topic_key = DeltaTable(f"{lake}/reports"), topic_id(bootstrap, topic)
    with closing(clients.consumer(bootstrap)) as consumer:
        ends = consumer.end_offsets([TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)])
    return sum(end - (table.transaction_version(f"{topic_key}/{at.partition}") or 0) for at, end in ends.items())


def check_exactly_once(bootstrap: str, topic: str, rejected: str, lake: Path | str) -> None:
    """Every message of `topic` is one row, or rejected once, or a duplicate of a row of its drone, id and time."""
    rows = Counter((partition, offset) for partition, offset in landed(lake, "kafka_partition, kafka_offset"))
    assert [place for place, times in rows.items() if times > 1] == [], "landed twice"
    bad = {rejected_place(record) for record in messages(bootstrap, rejected)}
    assert not bad & rows.keys(), "landed and rejected"
    ids = set(landed(lake, "drone_id, report_id, epoch_us(reported_at) // 1000"))
    for record in messages(bootstrap, topic):
        place = (record.partition, record.offset)
        if place not in rows and place not in bad:
            sent = json.loads(record.value)
            at = round(datetime.fromisoformat(sent["reported_at"]).timestamp() * 1e6) // 1000
            assert (sent["drone_id"], sent["report_id"], at) in ids, f"{place} is neither landed nor rejected"


def rejected_place(record: Any) -> Place:
    headers = dict(record.headers)
    return int(headers["partition"]), int(headers["offset"])
