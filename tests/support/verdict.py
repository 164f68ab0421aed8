"""An independent checker of a whole run: reads the broker, the lake's Parquet and the stand-in's log, nothing else.

It shares no code with the product but the client that opens Kafka. `check` gives sentences: what is wrong, and figures.

1. Every report that a broker acknowledged to `tests.support.load` is still on the broker, where it was acknowledged.
2. Every message of `reports` is one row of the lake, or one rejected message, or a duplicate of a row (a producer sends
   again what was not acknowledged): no row twice, neither by its place nor by its drone, id and time.
3. Every readable report with the flag raised its alert, and every alert is in a delivery.
4. The channel shows every alert; more than there are only where a notifier was killed between sending and writing down.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from infra.kafka.address import Address
from tests.support.kafka_messages import messages

SHOWN: Final = 3
"""How many examples a sentence names."""

Place = tuple[int, int]
Identity = tuple[str, str, int]  # drone, id, time in ms


@dataclass(frozen=True)
class Evidence:
    """Where to look. `notes` are of the loads; `standin` is the stand-in's folder."""

    kafka: Address
    lake: str
    notes: tuple[Path, ...]
    standin: Path | None = None
    storage: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Verdict:
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    def demand(self, bad: Iterable[Any], sentence: str) -> None:
        if examples := list(bad):
            self.wrong.append(f"{len(examples)} {sentence}, such as {examples[:SHOWN]}")

    def __str__(self) -> str:
        figures = [f"{name.replace('_', ' ')}: {number:,}" for name, number in self.figures.items()]
        return "\n".join([*figures, *(f"WRONG: {sentence}" for sentence in self.wrong)])


def check(evidence: Evidence) -> Verdict:
    """Call it when everything has come to rest."""
    verdict = Verdict()
    reports = _reports(evidence.kafka)
    _check_acknowledged(evidence, reports, verdict)
    _check_landed(evidence, reports, verdict)
    _check_alerts(evidence, reports, verdict)
    return verdict


@dataclass(frozen=True)
class _Sent:
    identity: Identity
    alert: bool


def _reports(kafka: Address) -> dict[Place, _Sent]:
    reports = {}
    for record in messages(kafka, "reports"):
        try:
            value = json.loads(record.value)
        except ValueError:  # nothing else than a rejected message will do for it
            reports[record.partition, record.offset] = _Sent(("", f"{record.partition}/{record.offset}", 0), False)
            continue
        at = round(datetime.fromisoformat(value["reported_at"]).timestamp() * 1000)
        identity = (value["drone_id"], value["report_id"], at)
        reports[record.partition, record.offset] = _Sent(identity, value["alert"])
    return reports


def _check_acknowledged(evidence: Evidence, reports: Mapping[Place, _Sent], verdict: Verdict) -> None:
    lines = [line.split(",") for file in evidence.notes for line in file.read_text("ascii").splitlines()]
    places = {(int(partition), int(offset)): f"r{number}" for number, partition, offset in lines}
    verdict.figures["reports_acknowledged"] = len(lines)
    there = {place: sent.identity[1] for place, sent in reports.items()}
    lost = [(place, name) for place, name in places.items() if there.get(place) != name]
    verdict.demand(lost, "acknowledged reports are not on the broker where they were acknowledged")


def _check_landed(evidence: Evidence, reports: Mapping[Place, _Sent], verdict: Verdict) -> None:
    rows = _rows(evidence)
    places = Counter((partition, offset) for partition, offset, *_ in rows)
    identities = Counter((drone, name, at) for _, _, drone, name, at in rows)
    rejected = _rejected(evidence.kafka)
    verdict.figures |= {"reports_on_the_broker": len(reports), "rows_in_the_lake": len(rows)}
    verdict.figures |= {"rejected": len(rejected)}
    verdict.demand((place for place, times in places.items() if times > 1), "offsets landed twice")
    verdict.demand((name for name, times in identities.items() if times > 1), "reports landed twice")
    verdict.demand(rejected & places.keys(), "messages are landed and rejected")
    verdict.demand(places.keys() - reports.keys(), "rows are of no message")
    duplicates = [place for place in reports if place not in places and place not in rejected]
    verdict.figures["duplicates_left_out"] = len(duplicates)
    missing = [place for place in duplicates if reports[place].identity not in identities]
    verdict.demand(missing, "messages are neither landed nor rejected nor duplicates")


def _rows(evidence: Evidence) -> list[tuple[int, int, str, str, int]]:
    where, storage = f"{evidence.lake}/reports", dict(evidence.storage) or None
    if not DeltaTable.is_deltatable(where, storage):
        return []
    table = DeltaTable(where, storage_options=storage)
    columns = "kafka_partition, kafka_offset, drone_id, report_id, epoch_us(reported_at) // 1000"
    files = table.file_uris()
    if not files:
        return []
    with duckdb.connect() as database:
        if "://" in files[0]:
            wanted = ["kafka_partition", "kafka_offset", "drone_id", "report_id", "reported_at"]
            rows: pa.Table = table.to_pyarrow_table(columns=wanted)
            database.register("rows", rows)
            return database.sql(f"select {columns} from rows").fetchall()
        return database.sql(f"select {columns} from read_parquet({files!r})").fetchall()


def _rejected(kafka: Address) -> set[Place]:
    headers = [dict(record.headers) for record in messages(kafka, "reports.rejected")]
    return {(int(header["partition"]), int(header["offset"])) for header in headers}


def _check_alerts(evidence: Evidence, reports: Mapping[Place, _Sent], verdict: Verdict) -> None:
    raised = {
        alert["alert_id"]: alert
        for alert in (json.loads(record.value) for record in messages(evidence.kafka, "alerts"))
        if not alert.get("clears")
    }
    flagged = {sent.identity for sent in reports.values() if sent.alert}
    judged = {(alert["drone_id"], alert["report_id"]) for alert in raised.values() if alert["kind"] == "unrest"}
    verdict.demand((one for one in flagged if one[:2] not in judged), "reports with the flag raised no alert")
    deliveries = {
        delivery["delivery_id"]: delivery["alert_ids"]
        for delivery in (json.loads(record.value) for record in messages(evidence.kafka, "deliveries"))
    }
    delivered = Counter(name for names in deliveries.values() for name in names)
    verdict.figures |= {"alerts": len(raised), "alerts_in_deliveries": len(delivered)}
    verdict.demand(raised.keys() - delivered.keys(), "alerts are in no delivery")
    verdict.demand((name for name, times in delivered.items() if times > 1), "alerts are in two deliveries")
    if evidence.standin is not None:
        shown = shown_alerts(evidence.standin)
        verdict.figures |= {"alerts_shown": shown, "alerts_shown_again": max(0, shown - len(raised))}
        verdict.demand(range(shown, len(raised)), "alerts are in no message of the channel")


def shown_alerts(folder: Path) -> int:
    """The sum of the fields `Alerts` over the newest form of the alerts' messages, by the log of the stand-in."""
    newest: dict[str, int] = {}
    for line in (folder / "log.jsonl").read_bytes().splitlines():
        change = json.loads(line).get("change") or {}
        if change.get("kind") in ("post", "edit") and change["webhook"] == "1":
            newest[change["message"]["id"]] = _alerts_of(change["message"])
        if change.get("kind") == "delete":
            newest.pop(change["message_id"], None)
    return sum(newest.values())


def _alerts_of(message: Mapping[str, Any]) -> int:
    fields = [each for embed in message["embeds"] for each in embed.get("fields", [])]
    return sum(int(each["value"]) for each in fields if each["name"] == "Alerts")
