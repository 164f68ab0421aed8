"""The JSON schema of a model of the API is made once, and is the one that pydantic makes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from serving.http.model import Model


class OfPydantic(BaseModel):
    hour: int = Field(alias="at", ge=0, le=23, description="of the day")
    inner: OfPydantic | None = None


class OfTheApi(Model):
    hour: int = Field(alias="at", ge=0, le=23, description="of the day")
    inner: OfTheApi | None = None


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"by_alias": False},
        {"mode": "serialization"},
        {"ref_template": "#/components/schemas/{model}", "by_alias": True},
    ],
)
def test_schema_is_pydantics(asked: dict[str, Any]) -> None:
    for _ in range(2):
        named = str(OfTheApi.model_json_schema(**asked)).replace("OfTheApi", "OfPydantic")
        assert named == str(OfPydantic.model_json_schema(**asked))


def test_change_of_a_schema_is_not_shared() -> None:
    first = OfTheApi.model_json_schema()
    whole = str(first)
    del first["$defs"]
    assert str(OfTheApi.model_json_schema()) == whole
