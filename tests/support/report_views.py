"""Views for tests of the nightly report, as landing and the batch layer write them, and the text of a PDF."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from pypdf import PdfReader

from fleet.figures.cube import HOURS
from serving.report import facts
from serving.services import Services

DAY = date(2026, 11, 23)
HOUR = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp()) // 3600
NOW = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)


def cells(hour: int, reports: int, alerts: int, country: str = "日本") -> pa.Table:
    """One cell: so many reports of battery 50 % that saw one citizen each, of score 3."""
    row = (hour, country, 3, reports, alerts, 50_000 * reports, 0, reports, 3 * reports)
    return pa.table({name: [value] for name, value in zip(HOURS.schema.names, row, strict=True)}, schema=HOURS.schema)


def land(views: Services, version: int, *parts: pa.Table) -> None:
    """A commit of these cells, and its live document."""
    document = HOURS.to_document(HOURS.merge(parts))
    views.database.live.insert_one({"_id": version, "committed_at": NOW, "cells": document})


def completeness(views: Services, day: date = DAY, **fields: Any) -> None:
    """What the batch layer says of a UTC day: complete, unless `fields` say otherwise."""
    document = {"_id": day.isoformat(), "version": 0, "complete": True, "missing": [], **fields}
    views.database.completeness.replace_one({"_id": document["_id"]}, document, upsert=True)


def landed_through(views: Services, time: datetime) -> None:
    """Partition 3 is landed up to `time`, partition 4 an hour further."""
    partitions = {
        f"topic/{name}": int(at.timestamp() * 1000) for name, at in ((3, time), (4, time + timedelta(hours=1)))
    }
    views.database.landing_facts.replace_one({"_id": "through"}, {"partitions": partitions}, upsert=True)


def plain_forms(report: facts.DayReport) -> dict[str, bytes]:
    """For a ReportDesk whose pages nobody reads: the report's facts, and no drawing."""
    return {"html": b"<html>", "pdf": b"%PDF-", "png": b"\x89PNG", "json": facts.to_json(report)}


def pdf_text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
