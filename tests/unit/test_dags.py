"""The DAGs: all can be imported, each has what operators need, and none holds logic of its own."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DAGS = sorted(path for path in (ROOT / "dags").glob("*.py") if path.name != "house.py")

# In a process of its own: Airflow reads its settings, and warns, while it is imported.
LOAD = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag(sys.argv[1], bundle_path=Path(sys.argv[1]), bundle_name="dags-folder")
json.dump({
    "errors": bag.import_errors,
    "dags": {
        dag.dag_id: {
            "file": dag.fileloc, "doc": dag.doc_md, "tags": sorted(dag.tags), "description": dag.description,
            "catchup": dag.catchup, "max_active_runs": dag.max_active_runs, "timetable": type(dag.timetable).__name__,
            "run_timeout": bool(dag.dagrun_timeout),
            "tasks": {
                task.task_id: {
                    "owner": task.owner, "retries": task.retries, "timeout": bool(task.execution_timeout),
                    "backoff": bool(task.retry_exponential_backoff), "pool": task.pool,
                    "args": list(map(str, getattr(task, "application_args", None) or ())),
                    "application": str(getattr(task, "application", "")),
                }
                for task in dag.tasks
            },
        }
        for dag in bag.dags.values()
    },
}, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    env = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    told = subprocess.run(
        [sys.executable, "-c", LOAD, ROOT / "dags", home / "bag.json"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found: dict[str, Any] = json.loads((home / "bag.json").read_text())
    return found


def test_all_can_be_imported(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {path.stem for path in DAGS}, "a DAG is called as its file"


def test_each_has_what_operators_need(bag: dict[str, Any]) -> None:
    for name, dag in bag["dags"].items():
        assert "peacewatch" in dag["tags"], name
        assert dag["doc"], name
        assert dag["description"], name
        assert dag["catchup"] is False, name
        assert dag["max_active_runs"] == 1, name
        assert dag["run_timeout"], name


def test_each_task_tries_again_and_ends(bag: dict[str, Any]) -> None:
    for name, dag in bag["dags"].items():
        for task_id, task in dag["tasks"].items():
            assert task["owner"] == "peacewatch", (name, task_id)
            assert task["retries"] >= 1, (name, task_id)
            assert task["backoff"], (name, task_id)
            assert task["timeout"], (name, task_id)


def test_a_data_interval_has_a_length(bag: dict[str, Any]) -> None:
    assert bag["dags"]["hourly_views"]["timetable"] == "CronDataIntervalTimetable"


def test_the_hours_are_computed_wherever_reports_landed(bag: dict[str, Any]) -> None:
    task = bag["dags"]["hourly_views"]["tasks"]["aggregate"]
    assert task["args"] == ["aggregate"]
    assert task["pool"] == "spark"
    assert Path(task["application"]).is_file()


def test_chosen_days_are_given_to_the_command(bag: dict[str, Any]) -> None:
    task = bag["dags"]["rebuild_views"]["tasks"]["aggregate"]
    assert task["args"] == ["aggregate", "--rebuild", "--from", "{{ params.first }}", "--to", "{{ params.last }}"]
    assert task["pool"] == "spark"


def test_spark_jobs_do_not_fight(bag: dict[str, Any]) -> None:
    tasks = [task for dag in bag["dags"].values() for task in dag["tasks"].values()]
    assert {task["pool"] for task in tasks if task["application"]} == {"spark"}


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_a_dag_file_holds_schedule_and_calls_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.If, ast.Try)
    assert [type(node).__name__ for node in ast.walk(tree) if isinstance(node, logic)] == []
