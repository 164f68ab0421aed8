"""Whether the process is alive, and whether it can answer."""

from __future__ import annotations

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from serving.api import answers
from serving.http.model import Model
from serving.services import Services


class Health(Model):
    """All is well."""

    status: str = Field(examples=["ok"])


def blueprint(services: Services) -> APIBlueprint:
    """`/healthz` and `/readyz`."""
    api = APIBlueprint("health", __name__, abp_tags=[Tag(name="health")])

    @api.get("/healthz", summary="The process is alive", responses={200: Health})
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/readyz", summary="MongoDB answers", responses=answers(Health))
    def readyz() -> dict[str, str]:
        services.database.command("ping")
        return {"status": "ok"}

    return api
