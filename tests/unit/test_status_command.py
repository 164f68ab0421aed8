"""`peacewatch status` says why a service does not answer, without its secrets."""

from __future__ import annotations

from pathlib import Path

from cli import status_facts
from infra import settings


def test_unreachable_services_are_listed_with_the_reason(tmp_path: Path, free_port: int) -> None:
    address = f"127.0.0.1:{free_port}"
    uri = f"mongodb://me:hunter2-of-status@{address}/fleet"
    away = status_facts.read(settings.load({}, home=tmp_path, kafka_bootstrap=address, mongo_uri=uri))["away"]
    assert away["kafka"] == f"no broker accepts connections at {address}"
    assert away["mongo"].startswith(f"MongoDB does not answer: {address}: ")
    assert "hunter2" not in str(away)
