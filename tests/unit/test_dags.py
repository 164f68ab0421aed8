"""The DAGs: all can be imported, each has what operators need, and none holds logic of its own."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from batch_layer.spark import class_archive, comet, session
from serving.report.build import OfficersDay

ROOT = Path(__file__).parents[2]
DAGS = sorted(path for path in (ROOT / "dags").glob("*.py") if path.name != "common.py")

ZONES = ["Asia/Tokyo", "Pacific/Auckland", "America/Santiago"]
"""No summer time; far ahead of UTC, with it; and behind UTC, where clocks change at midnight."""

CHANGES = {
    "Pacific/Auckland": (date(2026, 4, 5), date(2026, 9, 27)),
    "America/Santiago": (date(2026, 4, 4), date(2026, 9, 6)),
}
"""Days of 25 and 23 hours in those zones."""

# In a process of its own: Airflow reads its settings, and warns, while it is imported.
LOAD = """
import json, os, runpy, sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
import pendulum
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = BundleDagBag(sys.argv[1], bundle_path=Path(sys.argv[1]), bundle_name="dags-folder")


def nights(zone):
    \"\"\"First and end of each data interval in seconds, and the commands of its run and of a backfill's.\"\"\"
    os.environ["PEACEWATCH_TIMEZONE"] = zone
    dag = runpy.run_path(sys.argv[1] + "/nightly_report.py")["dag"]
    served = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    for month in (4, 9):
        first, last = (datetime(2026, month, day, tzinfo=dag.timezone) for day in (1, 28))
        for start, end in (info.data_interval for info in served.iter_dagrun_infos_between(first, last)):
            runs = [commands(dag, kind, start) for kind in ("scheduled", "backfill")]
            yield [start.timestamp(), end.timestamp(), *runs]

def commands(dag, kind, start=None, **chosen):
    params = {**{name: param.value for name, param in dag.params.items()}, **chosen}
    context = {"dag": dag, "params": params, "dag_run": SimpleNamespace(run_type=kind), "data_interval_start": start}
    rendered = lambda task: task.render_template(task.bash_command, context, dag.get_template_env())
    return {task.task_id: rendered(task).removeprefix("exec peacewatch ") for task in dag.tasks}

def late(kind):
    import common
    notified = []
    common._notify = lambda title, *_: notified.append(title)
    run = {"dag_id": "nightly_report", "dag_run_id": "r", "run_type": kind}
    common.notify_late({"dag_run": run, "deadline": {"deadline_time": "midnight"}})
    return notified

def failed(code):
    \"\"\"What a task says whose spark-submit ends with this exit code.\"\"\"
    import common
    program = Path(sys.argv[2]).parent / "bin" / "spark-submit"
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\\nexit %d\\n" % code)
    program.chmod(0o755)
    os.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    try:
        common.spark("aggregate", ["aggregate"]).execute({})
    except Exception as error:
        return str(error)

def java(comet):
    \"\"\"Java's options of the task that starts Spark, by DAG, where PEACEWATCH_COMET is `comet`.\"\"\"
    os.environ["PEACEWATCH_COMET"] = comet
    sys.modules.pop("common", None)
    tasks = {
        name: runpy.run_path(f"{sys.argv[1]}/{name}.py")["dag"].get_task("aggregate")
        for name in ("hourly_views", "rebuild_views")
    }
    return {name: task.conf["spark.driver.extraJavaOptions"] for name, task in tasks.items()}

def keys():
    \"\"\"The key of S3 that spark-submit finds while its file changes, and what a task says without the file.\"\"\"
    import common
    program, secret = Path(sys.argv[2]).parent / "bin" / "spark-submit", Path(sys.argv[2]).parent / "secret"
    program.write_text("#!/bin/sh\\necho $AWS_SECRET_ACCESS_KEY >> %s.seen\\n" % secret)
    os.environ |= {"AWS_SECRET_ACCESS_KEY": "of the start", "AWS_SECRET_ACCESS_KEY_FILE": str(secret)}
    for text in ("first", "second"):
        secret.write_text(text + "\\n")
        common.spark("aggregate", ["aggregate"]).execute({})
    secret.unlink()
    try:
        common.spark("aggregate", ["aggregate"]).execute({})
    except Exception as error:
        return [*secret.with_name("secret.seen").read_text().split(), str(error)]

sys.path.insert(0, sys.argv[1])
night = next(dag for dag in bag.dags.values() if dag.dag_id == "nightly_report")
json.dump({
    "nights": {zone: list(nights(zone)) for zone in sys.argv[3:]},
    "late": {kind: late(kind) for kind in ("scheduled", "manual", "backfill")},
    "by hand": commands(night, "manual"),
    "chosen": commands(night, "manual", day="2026-11-24", discord="never"),
    "posted backfill": commands(night, "backfill", pendulum.datetime(2026, 11, 23), discord="always"),
    "failed": {code: failed(code) for code in (1, 52)},
    "keys": keys(),
    "errors": bag.import_errors,
    "dags": {
        dag.dag_id: {
            "file": dag.fileloc, "doc": dag.doc_md, "tags": sorted(dag.tags), "description": dag.description,
            "catchup": dag.catchup, "max_active_runs": dag.max_active_runs, "timetable": type(dag.timetable).__name__,
            "run_timeout": bool(dag.dagrun_timeout),
            "tasks": {
                task.task_id: {
                    "owner": task.owner, "retries": task.retries,
                    "timeout": getattr(task.execution_timeout, "seconds", 0),
                    "backoff": bool(task.retry_exponential_backoff), "pool": task.pool,
                    "at_once": task.max_active_tis_per_dag,
                    "args": list(map(str, getattr(task, "application_args", None) or ())),
                    "application": str(getattr(task, "application", "")),
                    "java": (getattr(task, "conf", None) or {}).get("spark.driver.extraJavaOptions", ""),
                    "class path": (getattr(task, "conf", None) or {}).get("spark.driver.extraClassPath", ""),
                }
                for task in dag.tasks
            },
        }
        for dag in bag.dags.values()
    },
    "java": {comet: java(comet) for comet in ("local:/opt/comet.jar", "off")},
}, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    env = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    env["AIRFLOW_CONN_PEACEWATCH_SPARK"] = json.dumps({"conn_type": "spark", "host": "local[2]"})
    result = subprocess.run(
        [sys.executable, "-c", LOAD, ROOT / "dags", home / "bag.json", *ZONES],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads((home / "bag.json").read_text())
    return found


def test_all_can_be_imported(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {path.stem for path in DAGS}, "a DAG is called as its file"


def test_spark_jobs_log_by_a_file_that_exists(bag: dict[str, Any]) -> None:
    options = [task["java"] for dag in bag["dags"].values() for task in dag["tasks"].values() if task["application"]]
    assert options
    for option in options:
        named = re.match(r"-Dlog4j2\.configurationFile=file://(\S+)", option)
        assert named, option
        assert Path(named[1]).is_file(), option


def test_spark_jobs_start_from_the_archive_of_classes_where_there_is_one(bag: dict[str, Any]) -> None:
    """It holds for a class path with Comet's jar in front (batch_layer/spark/class_archive.py)."""
    made = next(class_archive.FOLDER.glob("*.jsa"), None)
    for task in (task for dag in bag["dags"].values() for task in dag["tasks"].values() if task["application"]):
        shared = [option for option in task["java"].split() if option.startswith("-XX:SharedArchiveFile=")]
        assert shared == ([f"-XX:SharedArchiveFile={made}"] if made else [])
        assert task["class path"] == (comet.jar(comet.AUTO) if made else "")


@pytest.mark.parametrize(
    ("jar", "quick"), [("local:/opt/comet.jar", ["hourly_views", "rebuild_views"]), ("off", ["hourly_views"])]
)
def test_java_compiles_quickly_beside_comet_and_in_a_run_of_an_hour(
    bag: dict[str, Any], jar: str, quick: list[str]
) -> None:
    options = {name: java.split() for name, java in bag["java"][jar].items()}
    assert sorted(name for name, given in options.items() if set(session.QUICK_JAVA) <= set(given)) == quick


def test_an_exhausted_heap_is_said_in_words(bag: dict[str, Any]) -> None:
    """tests/integration/test_batch_memory.py has a real Spark end with this exit code."""
    sentence = bag["failed"][str(session.HEAP_EXHAUSTED)]
    assert sentence.startswith("Spark has too little memory: its heap of 1g is exhausted")
    assert bag["failed"]["1"].endswith("Error code is: 1.")


def test_spark_gets_the_keys_of_s3_that_their_files_hold_now(bag: dict[str, Any]) -> None:
    """A scheduler lives longer than keys do, and Java starts before Peacewatch reads their files."""
    *seen, without = bag["keys"]
    assert seen == ["first", "second"]
    assert without.startswith("AWS_SECRET_ACCESS_KEY_FILE: No such file or directory: ")


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


def test_no_task_that_writes_runs_twice_at_once(bag: dict[str, Any]) -> None:
    """max_active_runs does not hold between two schedulers (tests/integration/test_two_schedulers.py)."""
    several = {
        (name, task_id)
        for name, dag in bag["dags"].items()
        for task_id, task in dag["tasks"].items()
        if task["at_once"] != 1
    }
    assert several == {("nightly_report", "wait")}


def test_the_page_for_other_executors_names_the_longest_times_of_the_dags(bag: dict[str, Any]) -> None:
    minutes, hours = (bag["dags"][dag]["tasks"]["aggregate"]["timeout"] for dag in ("hourly_views", "rebuild_views"))
    page = (ROOT / "docs" / "airflow.md").read_text(encoding="utf-8")
    assert f"`aggregate` may take {minutes / 60:.0f} minutes, `rebuild_views` {hours / 3600:.0f} hours" in page
    assert max(task["timeout"] for dag in bag["dags"].values() for task in dag["tasks"].values()) == hours


def test_a_data_interval_has_a_length(bag: dict[str, Any]) -> None:
    assert bag["dags"]["hourly_views"]["timetable"] == "CronDataIntervalTimetable"


@pytest.mark.parametrize("zone", ZONES)
def test_a_night_reports_the_officers_day(bag: dict[str, Any], zone: str) -> None:
    """Its data interval is the day's hours on the officers' clock, and its commands name that day."""
    days = [date(2026, month, day) for month in (4, 9) for day in range(1, 29)]
    for day, (start, end, commands, _) in zip(days, bag["nights"][zone], strict=True):
        hours = OfficersDay(day, zone).hours
        assert (start, end) == (hours.first * 3600, hours.end * 3600), day
        assert (hours.end - hours.first == 24) == (day not in CHANGES.get(zone, ())), day
        assert (commands["wait"], commands["build"]) == (f"report wait --day {day}", f"report build --day {day}")
        assert commands["publish"] == f"report publish --day {day}"
        assert commands["revise"] == "report revise --late"


def test_a_backfill_waits_for_nothing_posts_nothing_and_revises_nothing(bag: dict[str, Any]) -> None:
    *_, commands = bag["nights"]["Asia/Tokyo"][0]
    assert commands == {
        "wait": "exit 99",
        "build": "report build --day 2026-04-01 --quiet",
        "publish": "exit 99",
        "revise": "exit 99",
    }
    assert bag["posted backfill"]["build"] == "report build --day 2026-11-23"
    assert bag["posted backfill"]["publish"] == "report publish --day 2026-11-23"


def test_no_run_of_a_backfill_is_late(bag: dict[str, Any]) -> None:
    """They are all queued at once, and wait for each other."""
    late = ["nightly_report is late"]
    assert bag["late"] == {"scheduled": late, "manual": late, "backfill": []}


def test_a_run_by_hand_has_the_day_that_was_chosen_or_yesterday(bag: dict[str, Any]) -> None:
    assert bag["by hand"]["build"].strip() == "report build"
    assert bag["chosen"]["wait"] == "report wait --day 2026-11-24"
    assert bag["chosen"]["build"] == "report build --day 2026-11-24 --quiet"
    assert (bag["chosen"]["publish"], bag["chosen"]["revise"]) == ("exit 99", "report revise --late")


def test_the_hours_are_computed_wherever_reports_landed(bag: dict[str, Any]) -> None:
    task = bag["dags"]["hourly_views"]["tasks"]["aggregate"]
    assert task["args"] == ["aggregate"]
    assert task["pool"] == "spark"
    assert Path(task["application"]).is_file()
    (log,) = [option for option in task["java"].split() if option.startswith("-Dlog4j2.configurationFile=file://")]
    assert Path(log.partition("file://")[2]).is_file()


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
