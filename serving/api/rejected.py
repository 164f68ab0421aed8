"""Rejected messages: how many in the last hour and day, and the newest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from serving.api import PREFIX, SECURITY, answers
from serving.api.models import Query
from serving.http.model import Model
from serving.rejected import EXCERPT, NEWEST
from serving.services import Services


class RejectedRow(Model):
    """A rejected message as it came. `excerpt` and `detail` are untrusted text: escape them."""

    rejected_at: datetime = Field(description="by the broker's clock")
    partition: int = Field(description="of the topic reports.rejected")
    offset: int
    reason: str
    detail: str
    received_at: datetime | None = Field(description="when the broker received the message on `reports`")
    bytes: int
    excerpt: str = Field(description=f"its first {EXCERPT} characters; bytes that are not UTF-8 are replaced")


class RejectedMessages(Model):
    """Rejected messages as the broker has them now. After a crash of landing, one may be there twice."""

    last_hour: int
    last_day: int
    newest: list[RejectedRow] = Field(description=f"the newest {NEWEST}, newest first")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/rejects`."""
    api = APIBlueprint("rejected", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="health")], abp_security=SECURITY)

    @api.get("/rejects", summary="Rejected messages, now", responses=answers(RejectedMessages))
    def rejected(query: Query) -> dict[str, Any]:  # noqa: ARG001 - refuses parameters
        return services.rejected.now()

    return api
