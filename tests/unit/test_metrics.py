"""docs/operations.md lists the metrics that there are, with their types; their labels come from fixed lists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from infra import metrics
from serving.front import metrics as web

ROOT = Path(__file__).parents[2]
ROOMS = ("fleet", "infra", "speed_layer", "batch_layer", "serving", "cli", "laptop")
MAKES = re.compile(r"^from prometheus_client import .*\b(?:Counter|Gauge|Histogram)\b", re.MULTILINE)
WITH_OTHER_CODE = {"speed_layer.dead_mans_switch", "speed_layer.recording"}
"""All other metrics are in a `metrics.py`."""


def modules() -> set[str]:
    """Where metrics are made."""
    sources = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    makers = (path.relative_to(ROOT) for path in sources if MAKES.search(path.read_text("utf-8")))
    return {".".join(path.with_suffix("").parts) for path in makers}


def made() -> dict[str, str]:
    """{name as Prometheus shows it: type} of our metrics."""
    for module in modules():
        importlib.import_module(module)
    families = [family for family in REGISTRY.collect() if family.name.startswith("peacewatch_")]
    return {family.name + "_total" * (family.type == "counter"): family.type for family in families}


def documented() -> dict[str, str]:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(peacewatch_\w+)` \| (\w+) \|", page, re.MULTILINE))


def test_the_page_lists_every_metric_with_its_type() -> None:
    assert documented() == made()


def test_metrics_are_made_in_modules_of_that_name() -> None:
    assert {module for module in modules() if not module.endswith(".metrics")} == WITH_OTHER_CODE


def test_the_build_is_named() -> None:
    metrics.name_build("land")
    [labels] = [
        sample.labels
        for metric in metrics.BUILD.collect()
        for sample in metric.samples
        if sample.labels["process"] == "land"
    ]
    assert labels["version"] != "unknown"


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/", "page"),
        ("/drones/a-7", "page"),
        ("/api/v1/statistics/averages", "statistics"),
        ("/api/v1/alerts", "alerts"),
        ("/api/v1/audit", "api"),
        ("/api/v1/a-strangers-word", "api"),
        ("/api/", "api"),
        ("/api", "page"),
    ],
)
def test_a_strangers_path_makes_no_new_series(path: str, part: str) -> None:
    assert web.part_of(path) == part
