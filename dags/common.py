"""Shared by all DAGs, which import this file; it is not a DAG itself.

Every task is a `peacewatch` command, started as a process. So people can run it, too, and Airflow loads none of
Peacewatch's code. Settings and secrets come from Airflow's environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.exceptions import AirflowException
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset, DeadlineAlert, DeadlineReference, SyncCallback

LAKE = Asset("lake", uri="peacewatch://lake/reports", group="peacewatch")
VIEWS = Asset("hour_documents", uri="peacewatch://mongodb/hours", group="peacewatch")
REPORT = Asset("nightly_report", uri="peacewatch://reports", group="peacewatch")

# Pools of one slot each (laptop/airflow/setup.py creates them).
SPARK_POOL = "spark"  # two Spark jobs would compete for the machine
REPORTS_POOL = "reports"  # two tasks would build the same revision of a report

ROOT = Path(__file__).resolve().parents[1]
APPLICATION = ROOT / "cli" / "submit" / "spark_application.py"
SPARK_LOG = (ROOT / "batch_layer" / "spark" / "log4j2.properties").as_uri()  # the job's lines, not Spark's hundreds

# The native engine of Spark jobs (batch_layer/spark/comet.py): the jar that script/bootstrap fetched for this Python,
# unless the setting names another one or turns it off. spark-submit needs it from the start.
SHARE = Path(sys.prefix, "share", "peacewatch")
FETCHED = sorted(SHARE.glob("comet-*/*.jar"))[-1:]
WANTED = os.environ.get("PEACEWATCH_COMET") or "auto"
COMET = {"auto": "".join(map(str, FETCHED)), "off": ""}.get(WANTED, WANTED)
NATIVE = f"-Djava.library.path={Path(COMET).parent}" if COMET.startswith("/") else ""
# The archive of classes that set-up has made for that jar and this Java (batch_layer/spark/class_archive.py). It fits
# one class path only: the driver gets the jar there, and executors get it with the job. Java ignores archives that do
# not fit.
FOUND = SHARE.glob("spark-classes/*.jsa") if WANTED == "auto" and FETCHED else ()
CLASSES = [file for file in FOUND if file.stem.endswith(f"-{file.stat().st_size}")][:1]
SHARED = " ".join(f"-XX:SharedArchiveFile={file} -Xlog:cds*=off" for file in CLASSES)

# Better compiled code does not pay beside Comet, nor in a run of an hour (docs/decisions/0101).
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

# Spark's Java takes the keys of a lake on S3 from its environment, and starts before Peacewatch reads their files.
S3_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

HEAP = "1g"
HEAP_EXHAUSTED = "Error code is: 52"  # SparkExitCode.OOM, as SparkSubmitOperator names it

NOTIFY_SECONDS = 120
SKIP = 99  # an exit code that no command of Peacewatch has

AFTER_SKIPPED = "none_failed"  # trigger rule of a task that runs even if the previous one was skipped

BACKFILL = "dag_run.run_type == 'backfill'"  # in a template


class SparkCommand(SparkSubmitOperator):
    """Gives Java the keys that their files hold now: a scheduler lives longer than keys do.

    Reports in a sentence that Java's heap was exhausted: Java ended before the command in it could say so.
    """

    def execute(self, context: Any) -> None:
        os.environ.update({key: text_of(f"{key}_FILE") for key in S3_KEYS if os.environ.get(f"{key}_FILE")})
        try:
            super().execute(context)
        except AirflowException as error:
            if HEAP_EXHAUSTED not in str(error):
                raise
            where = "`HEAP` in dags/common.py"
            raise AirflowException(f"Spark has too little memory: its heap of {HEAP} is exhausted ({where})") from None


def text_of(variable: str) -> str:
    """The secret in the file that a variable names."""
    try:
        return Path(os.environ[variable]).read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise AirflowException(f"{variable}: {error.strerror}: {error.filename}") from None


def spark(task_id: str, arguments: list[str], *, is_short: bool = False, **more: Any) -> SparkSubmitOperator:
    """A task that runs a `peacewatch` command through spark-submit. `is_short`: it usually computes an hour."""
    quick = QUICK_JAVA if COMET or is_short else ""
    options = [f"-Dlog4j2.configurationFile={SPARK_LOG}", NATIVE, SHARED, quick]
    conf = {"spark.driver.extraJavaOptions": " ".join(filter(None, options))}
    operator = SparkCommand(
        task_id=task_id,
        doc_md=f"`peacewatch {arguments[0]}`, through spark-submit",
        application=str(APPLICATION),
        application_args=arguments,
        conn_id="peacewatch_spark",
        name=f"peacewatch-{task_id}",
        jars=",".join(filter(None, (os.environ.get("PEACEWATCH_SPARK_JARS"), COMET))) or None,
        driver_memory=HEAP,
        conf=conf | ({"spark.driver.extraClassPath": COMET} if CLASSES else {}),
        pool=SPARK_POOL,
        **more,
    )
    operator.custom_operator_name = f"peacewatch {arguments[0]}, by Spark"
    return operator


def peacewatch(task_id: str, arguments: str, *, skip_if: str = "", **more: Any) -> BashOperator:
    """A task that runs a `peacewatch` command. `arguments` is a template; its values must be safe as words of a shell.

    The task is skipped if the template's condition `skip_if` is true.
    """
    command = f"exec peacewatch {arguments}"  # exec: a kill reaches the command, not a shell around it
    said = f"peacewatch {arguments.partition('{')[0].strip()}"
    operator = BashOperator(
        task_id=task_id,
        doc_md=f"`{said}`",
        bash_command=f"{{% if {skip_if} %}}exit {SKIP}{{% else %}}{command}{{% endif %}}" if skip_if else command,
        skip_on_exit_code=SKIP if skip_if else None,
        **more,
    )
    operator.custom_operator_name = said  # the graph shows what to type
    return operator


def notify_failed(context: Mapping[str, Any]) -> None:
    """Notifies the operators of a task whose last retry failed, with a link to its log."""
    task = context["ti"]
    error = context.get("exception")
    _notify(f"{task.dag_id}: {task.task_id} failed", str(error or "no reason given"), getattr(task, "log_url", ""))


def notify_late(context: Mapping[str, Any], **_more: Any) -> None:
    """Notifies the operators of a run that has not ended in time.

    Not for runs of a backfill: they are all queued at once and wait for each other.
    """
    run = context["dag_run"]
    if run["run_type"] == "backfill":
        return
    dag_id, run_id = run["dag_id"], run["dag_run_id"]
    # The page of the run: its tasks and their logs.
    page = f"{os.environ.get('AIRFLOW__API__BASE_URL', '')}/dags/{dag_id}/runs/{quote(run_id)}"
    _notify(f"{dag_id} is late", f"the run {run_id} should have ended by {context['deadline']['deadline_time']}", page)


def _notify(title: str, text: str, link: str) -> None:
    command = ["peacewatch", "notify-operators", "--title", title, "--text", text[:1000], "--link", link]
    subprocess.run(command, check=True, timeout=NOTIFY_SECONDS)  # noqa: S603 - the PATH is the stack's


def late_after(interval: timedelta) -> DeadlineAlert:
    """Notifies operators when a run has not ended `interval` after it was queued."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=interval, callback=SyncCallback(notify_late)
    )


DEFAULTS = {
    "owner": "peacewatch",
    "retries": 4,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(minutes=50),  # shorter than the hour to the next run
    # Two schedulers may each start a run in the same moment, whatever max_active_runs is: Airflow counts a DAG's runs
    # without a lock (apache/airflow#45388). It counts a task's instances under the lock of the pools.
    "max_active_tis_per_dag": 1,
    "on_failure_callback": notify_failed,
}
