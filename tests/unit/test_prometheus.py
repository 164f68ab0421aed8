"""Alert rules and the dashboard: queries parse and name metrics that there are; rules fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from deploy.grafana import dashboard
from tests.support import prometheus
from tests.unit.test_metrics import made

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "rules.yaml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
QUERIES = {
    f"{panel.title}: {legend}": query
    for row in dashboard.ROWS.values()
    for panel in row
    for legend, query in panel.queries.items()
}
OF_OTHERS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def promtool() -> str:
    return prometheus.program("promtool")


def run(promtool: str, *arguments: str | Path) -> str:
    result = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_each_rule_fires_when_it_should_and_only_then(promtool: str) -> None:
    run(promtool, "test", "rules", FOLDER / "rules_test.yaml")


def test_a_rule_that_fires_too_early_fails_its_test(promtool: str, tmp_path: Path) -> None:
    wrong = (
        (FOLDER / "rules.yaml")
        .read_text(encoding="utf-8")
        .replace("oldest_untold_seconds > 60", "oldest_untold_seconds > 1")
    )
    (tmp_path / "rules.yaml").write_text(wrong, encoding="utf-8")
    (tmp_path / "rules_test.yaml").write_text(
        (FOLDER / "rules_test.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    result = subprocess.run([promtool, "test", "rules", tmp_path / "rules_test.yaml"], capture_output=True, check=False)
    assert result.returncode == 1


def test_every_rule_is_tested_firing_and_silent() -> None:
    tests = yaml.safe_load((FOLDER / "rules_test.yaml").read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in RULES}
    assert {case["alertname"] for case in cases if "exp_alerts" in case} == names
    assert {case["alertname"] for case in cases if "exp_alerts" not in case} == names


def test_every_query_of_the_dashboard_parses(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(QUERIES.values())]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    assert f"{len(QUERIES)} rules found" in run(promtool, "check", "rules", "--lint=none", path)


def test_the_example_of_a_configuration_is_valid(promtool: str) -> None:
    run(promtool, "check", "config", FOLDER / "prometheus.yaml")


def names_in(query: str) -> set[str]:
    """The metrics that a query names."""
    return set(re.findall(r"\b(?:peacewatch|process)_[a-z_]+\b|\bup\b", re.sub(r"\{[^}]*\}|by \([^)]*\)", "", query)))


def known() -> set[str]:
    series = set(OF_OTHERS)
    for name, kind in made().items():
        series |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    return series


@pytest.mark.parametrize("query", [*QUERIES.values(), *(rule["expr"] for rule in RULES)])
def test_a_query_names_metrics_that_there_are(query: str) -> None:
    names = names_in(query)
    assert names
    assert names - known() == set()


def test_every_histogram_and_queue_is_on_the_dashboard() -> None:
    shown = "".join(QUERIES.values())
    kinds = made()
    wanted = {name for name, kind in kinds.items() if kind == "histogram"}
    wanted |= {name for name in kinds if name.endswith(("_pending", "_unlanded", "_unjudged", "_unrecorded", "_lag"))}
    assert {name for name in wanted if name not in shown} == set()


def labels_of(name: str) -> set[str]:
    from prometheus_client import REGISTRY  # noqa: PLC0415

    base = re.sub(r"_(total|bucket|sum|count)$", "", name)
    collector = REGISTRY._names_to_collectors.get(base) or REGISTRY._names_to_collectors.get(name)
    assert isinstance(collector, MetricWrapperBase)
    return {*collector._labelnames, "instance", "job", *(["le"] if isinstance(collector, Histogram) else [])}


@pytest.mark.parametrize("query", [*QUERIES.values(), *(rule["expr"] for rule in RULES)])
def test_a_query_groups_by_labels_that_its_metrics_have(query: str) -> None:
    grouped = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", query) for label in labels.split(",")}
    for name in names_in(query) - OF_OTHERS:
        assert grouped <= labels_of(name), name


def test_the_dashboards_file_is_what_its_code_makes() -> None:
    there = json.loads(dashboard.FILE.read_text(encoding="utf-8"))
    assert there == dashboard.dashboard(), "run: python deploy/grafana/dashboard.py"


def test_no_two_panels_lie_over_each_other() -> None:
    cells = [
        (x, y)
        for panel in dashboard.dashboard()["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < dashboard.WIDTH


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_has_its_part_of_the_runbook(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (page, anchor) == ("runbook.md", rule["alert"].lower())
    section = re.search(rf"^### {rule['alert']}\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert section, f"add a section ### {rule['alert']} to docs/runbook.md"
    assert "\nDo: " in section[1]
    assert rule["labels"]["severity"] in {"page", "ticket"}
