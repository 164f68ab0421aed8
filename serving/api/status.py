"""How far each layer is, for people and for monitoring."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from serving import status
from serving.api import PREFIX, answers
from serving.api.models import Query
from serving.http.model import Model
from serving.services import Services


class Partition(Model):
    name: str
    next_offset: int
    landed_through: datetime | None
    lost: int = Field(description="messages that expired before they were landed")


class Problem(Model):
    what: str
    reason: str
    at: datetime


class Landing(Model):
    version: int | None
    committed_at: datetime | None
    landed_through: datetime | None = Field(description="all reports that the broker received before are in the lake")
    lag_seconds: float | None
    lost: int
    problems: list[Problem] = Field(description="documents of landing that MongoDB refused, the latest of each kind")
    partitions: list[Partition]


class Batch(Model):
    version: int | None
    started_at: datetime | None
    finished_at: datetime | None
    hours: int | None = Field(description="hour documents that the run wrote")
    versions_behind: int | None


class Latency(Model):
    of: int = Field(description="how many of the latest alerts were measured")
    p50: int | None
    p99: int | None


class AlertDelivery(Model):
    undelivered: int
    oldest_undelivered: datetime | None
    latency_ms: Latency = Field(description="from the broker's time of the report to Discord's answer")


class Reason(Model):
    reason: str
    messages: int


class Rejected(Model):
    days: int = Field(description="how many days, the last that the batch layer has counted")
    messages: int
    reasons: list[Reason]


class Status(Model):
    """Each layer by its own records."""

    now: datetime
    version: int = Field(description="version of the lake that figures are served at")
    as_of: datetime | None
    landing: Landing
    batch: Batch
    alerts: AlertDelivery
    rejected: Rejected
    streams: int = Field(description="open event streams")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/status`."""
    api = APIBlueprint("status", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="health")])

    @api.get("/status", summary="How far each layer is", responses=answers(Status))
    def layers(query: Query) -> dict[str, Any]:  # noqa: ARG001 - refuses parameters
        now = datetime.now(UTC)
        served = services.merge.served()
        return {
            "now": now,
            "version": served.version,
            "as_of": served.as_of,
            "landing": status.landing(services.database, now),
            "batch": status.batch(services.database, served.version),
            "alerts": status.alerts(services.database),
            "rejected": status.rejected(services.database),
            "streams": services.hub.listeners,
        }

    return api
