"""Memory that is exhausted ends a job of spark-submit in one sentence, and one with more memory is right.

As Airflow starts jobs: settings of spark-submit win over those of the product. It hands on what the job says on stdout.
tests/integration/test_batch_java_dies.py has the same of commands that start Java themselves, and of Java's heap.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batch_layer.spark import class_archive, comet, session
from infra.java import java
from infra.mongo import view_parts
from infra.mongo.client import Documents
from tests.support import lakes, spark_engines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

APPLICATION = Path(__file__).parents[2] / "cli" / "submit" / "spark_application.py"

NAMES, NAME_CHARACTERS = 400, 100_000
"""Of places, all different: 40 MB of cells."""

# Spark refuses a heap below 450 MB, but where its own tests reserve nothing of it.
SMALL_HEAP = ("--driver-memory", "120m", "--conf", "spark.testing.reservedMemory=0")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    lakes.make(tmp_path / "lake")
    rows = [lakes.row(n, lakes.START, country=f"{n:0{NAME_CHARACTERS}}") for n in range(NAMES)]
    lakes.land(tmp_path / "lake", rows)
    return tmp_path


def test_exhausted_memory_is_one_sentence_and_the_next_run_is_right(
    lake: Path, mongo_uri: str, mongo_database: Documents
) -> None:
    short = submit(lake, mongo_uri, "--conf", "spark.memory.offHeap.size=4m")
    assert short.returncode == 2, short.stderr
    (sentence,) = [line for line in short.stdout.splitlines() if line.startswith("peacewatch: ")]
    assert sentence.startswith("peacewatch: Spark has too little memory ")
    assert "Traceback" not in short.stdout + short.stderr
    assert mongo_database.hours.count_documents({}) == 0
    assert [run["state"] for run in mongo_database.runs.find({"kind": "hours"})] == ["failed"]
    enough = submit(lake, mongo_uri)
    assert enough.returncode == 0, enough.stderr
    (run,) = mongo_database.runs.find({"kind": "hours", "state": "complete"})
    assert run["engine"] == spark_engines.NATIVE
    (document,) = view_parts.whole(mongo_database, "hours", mongo_database.hours.find())
    assert sum(document["cells"]["reports"]) == NAMES


def test_an_exhausted_heap_ends_spark_submit_with_a_code_that_the_dags_know(
    lake: Path, mongo_uri: str, mongo_database: Documents
) -> None:
    """The command cannot say it: what it prints goes through the Java that has ended."""
    short = submit(lake, mongo_uri, *SMALL_HEAP)
    assert short.returncode == session.HEAP_EXHAUSTED, short.stderr
    assert mongo_database.hours.count_documents({}) == 0


def submit(home: Path, mongo_uri: str, *options: str) -> subprocess.CompletedProcess[str]:
    jar = comet.jar(comet.AUTO)
    assert jar is not None
    program = shutil.which("spark-submit", path=str(Path(sys.executable).parent))
    assert program is not None
    command = [program, "--master", "local[2]", "--jars", jar]
    java_options = [f"-Dlog4j2.configurationFile={session._LOGGING.as_uri()}", *session.QUICK_JAVA]
    command += ["--driver-java-options", " ".join((*java_options, *class_archive.options(java(), jar)))]
    command += ["--conf", f"spark.driver.extraClassPath={jar}"]
    environment = {
        **os.environ,
        "JAVA_HOME": str(java().resolve().parent.parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PEACEWATCH_HOME": str(home),
        "PEACEWATCH_MONGO_URI": mongo_uri,
        "PEACEWATCH_KAFKA_BOOTSTRAP": "127.0.0.1:9",  # away: alerts wait, and nothing else does
    }
    command += [*options, str(APPLICATION), "aggregate", "--views", "hours"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
