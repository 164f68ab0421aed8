"""What the batch layer needs: Java, Spark's master, and Airflow with its pools and connection."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Final

from cli.doctor.finding import Finding, fine, unknown, verdict, wrong
from fleet.errors import MissingPart
from infra import java

SPARK: Final = "Spark"
CONNECT_SECONDS: Final = 5.0
_HOST_AND_PORT: Final = r"(?:[^:/,\[\]]+|\[[0-9A-Fa-f:.]+\]):\d+"


def check_spark(master: str) -> Iterator[Finding]:
    """The findings of Java and the master. Only jobs can see a cluster's version, so it is not checked."""
    try:
        version = metadata.version("pyspark")
    except metadata.PackageNotFoundError:
        yield unknown(SPARK, "package", "pyspark is not installed here: no batch job runs on this machine")
        return
    yield fine(SPARK, "package", f"pyspark {version}; a cluster must have the same")
    try:
        yield fine(SPARK, "Java", str(java.java()))
    except MissingPart as error:
        yield wrong(SPARK, "Java", str(error), "install it, or set JAVA_HOME")
    masters = re.fullmatch(rf"spark://{_HOST_AND_PORT}(,{_HOST_AND_PORT})*", master)
    if masters is None:
        yield verdict(
            SPARK,
            "master",
            bool(re.match(r"local(\[|$)|yarn$|k8s://", master)),
            master,
            "PEACEWATCH_SPARK_MASTER is local[N], spark://host:port, yarn or k8s://…",
        )
        return
    failures = []
    for each in master.removeprefix("spark://").split(","):  # several: one leads, the others stand by
        host, _, port = each.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            failures.append(f"{each}: {error}")
        else:
            yield fine(SPARK, "master", f"{each} accepts connections")
            return
    yield wrong(SPARK, "master", "; ".join(failures), "start it, or set PEACEWATCH_SPARK_MASTER")


AIRFLOW: Final = "Airflow"
POOLS: Final = {"spark": None, "reports": 1}
"""The most slots by pool: two reports of one day wait for each other. A cluster may have room for several Spark jobs at
once, one machine for one.
"""

CONNECTION: Final = "peacewatch_spark"
COMMAND_SECONDS: Final = 120.0


def check_airflow(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The findings of the Airflow that `environment` (its AIRFLOW__ variables) names, by its own command line."""
    if importlib.util.find_spec("airflow") is None:
        yield unknown(AIRFLOW, "package", "Airflow is not installed here: run doctor on its own machine")
        return
    try:
        pools = {row["pool"]: int(row["slots"]) for row in _airflow(environment, "pools", "list")}
        has_connection = _has_connection(environment)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = f"its command line fails: {type(error).__name__}"
        mend = "`peacewatch airflow-setup` creates its tables; `peacewatch airflow db check` says whether it answers"
        yield wrong(AIRFLOW, "database", said, mend)
        return
    yield from pools_and_connection(pools, has_connection)


def pools_and_connection(pools: Mapping[str, int], has_connection: bool) -> Iterator[Finding]:
    """The findings of pools, by their slots, and of CONNECTION."""
    for name, most in POOLS.items():
        slots = pools.get(name, 0)
        yield verdict(
            AIRFLOW,
            f"pool {name}",
            0 < slots <= (most or slots),
            f"slots: {slots}" if name in pools else "is missing",
            f"peacewatch airflow pools set {name} 1 ''",
        )
    yield verdict(
        AIRFLOW,
        f"connection {CONNECTION}",
        has_connection,
        "exists" if has_connection else "is missing",
        f"peacewatch airflow connections add {CONNECTION} --conn-type spark --conn-host MASTER",
    )


def _has_connection(environment: Mapping[str, str]) -> bool:
    """Whether tasks find it. `connections list` has those of the database alone; `get` also knows variables, such as
    the one that `peacewatch airflow` sets, and a secrets backend."""
    try:
        return bool(_airflow(environment, "connections", "get", CONNECTION))
    except subprocess.CalledProcessError:
        return False


def _airflow(environment: Mapping[str, str], *arguments: str) -> list[dict[str, str]]:
    command = [sys.executable, "-P", "-m", "airflow", *arguments, "--output", "json"]
    result = subprocess.run(  # noqa: S603 - our own interpreter
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True
    )
    rows: list[dict[str, str]] = json.loads(result.stdout[result.stdout.index("[") :])
    return rows
