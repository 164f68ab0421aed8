"""Comet, the native engine of Spark jobs: Apache DataFusion's operators in place of Spark's own, with the same answers.
What it cannot run natively, Spark runs; tests check that the plans of all jobs are native
(tests/integration/test_batch_native.py). Without it plain Spark computes the same. `python -m batch_layer.spark.comet`
fetches the jar; so does `script/bootstrap`.
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyspark
from py4j.protocol import Py4JError

from fleet.errors import MissingPart, PeacewatchError
from infra.jars import Jars

VERSION: Final = "1.2.0"
SPARK: Final = "4.1"
"""The Spark that the jar is built for; a Comet of another Spark does not load."""

COMET: Final = Jars(
    what="Spark's native engine",
    name=f"comet-{VERSION}",
    artifacts={f"org.apache.datafusion/comet-spark-spark{SPARK}_2.13": VERSION},
    hashes=Path(__file__).with_name("comet_jars.sha256"),
    without=("org.scala-lang", "org.scala-lang.modules"),  # Spark brings them itself
)

AUTO: Final = "auto"
OFF: Final = "off"

_LOG_LEVEL: Final = "COMET_LOG_LEVEL"
SETTINGS: Final = {
    "spark.plugins": "org.apache.spark.CometPlugin",
    "spark.shuffle.manager": "org.apache.spark.sql.comet.execution.shuffle.CometShuffleManager",
    # The few rows that a job joins its files with (batch_layer.views.drone_days) come from the driver.
    "spark.comet.exec.localTableScan.enabled": "true",
    f"spark.executorEnv.{_LOG_LEVEL}": "ERROR",
}
MEMORY: Final = {"spark.memory.offHeap.size": "1g"}
"""Memory of native operators, off Java's heap: 640 MB was as fast (docs/measurements.md)."""

ENVIRONMENT: Final = {_LOG_LEVEL: "ERROR"}
"""Of the driver: what is worth a word reaches the job as an error."""

_LIBRARY: Final = "libcomet.so"
_FOLDERS: Final = {"x86_64": "amd64", "aarch64": "aarch64"}


def jar(wanted: str) -> str | None:
    """Where Comet's jar is, in Spark's form; None: plain Spark computes (`wanted` is OFF, or AUTO and it cannot run).

    `wanted` may be a place of the jar itself: a path, or a URI that Spark knows, such as `local:/opt/comet.jar`.
    Raises MissingPart if the jar is not there and cannot be fetched.
    """
    if wanted == OFF or (wanted == AUTO and unsupported() is not None):
        return None
    if wanted == AUTO:
        return str(fetch())
    if re.match(r"[a-z0-9]+:/", wanted) is None and not Path(wanted).is_file():
        raise MissingPart(f"PEACEWATCH_COMET: there is no jar {wanted}; {OFF} computes with plain Spark")
    return wanted


@dataclass(frozen=True)
class Machine:
    """What Comet requires of a machine: Spark's version, and Python's names of its system and processor."""

    spark: str = pyspark.__version__
    system: str = platform.system()
    processor: str = platform.machine()
    cpuinfo: Path = Path("/proc/cpuinfo")


def unsupported(machine: Machine | None = None) -> str | None:
    """Why Comet cannot run on `machine` (this one), in a few words; None: it can."""
    here = machine or Machine()
    if not f"{here.spark}.".startswith(f"{SPARK}."):
        return f"Comet {VERSION} is for Spark {SPARK}, and this is {here.spark}"
    if here.system != "Linux" or here.processor not in _FOLDERS:
        return f"Comet is for Linux on {' and '.join(_FOLDERS)}"
    if here.processor == "x86_64" and not _has_avx2(here.cpuinfo):
        return "this processor has no AVX2, which Comet needs"
    return None


def library(jar: str) -> Path | None:
    """The folder with the jar's native library where set-up has unpacked it: Java would unpack 145 MB at each start."""
    folder = Path(jar).parent
    return folder if (folder / _LIBRARY).is_file() else None


def is_on_class_path(jvm: Any) -> bool:
    """Whether a running driver can load Comet: spark-submit's has what it was started with."""
    try:
        jvm.Thread.currentThread().getContextClassLoader().loadClass(SETTINGS["spark.plugins"])
    except Py4JError:
        return False
    return True


def loaded(spark: Any) -> bool:
    """Whether Comet computes in this session: its plugin is there, and its native library has loaded."""
    if SETTINGS["spark.plugins"] not in (spark.sparkContext.getConf().get("spark.plugins") or ""):
        return False
    session = getattr(spark._jvm.org.apache.comet, "CometSparkSessionExtensions$")
    conf = spark._jsparkSession.sessionState().conf()
    return bool(getattr(session, "MODULE$").isCometLoaded(conf))


def version(spark: Any) -> str:
    """The version of the Comet that is loaded: a cluster's own may be another."""
    return str(getattr(getattr(spark._jvm.org.apache.comet, "package$"), "MODULE$").COMET_VERSION())


def fetch() -> Path:
    """The jar that set-up fetches, with its native library unpacked in the same folder. Raises MissingPart."""
    try:
        (found,) = COMET.fetch().glob("*.jar")
    except PeacewatchError as error:
        raise MissingPart(f"{error}; PEACEWATCH_COMET={OFF} computes with plain Spark") from None
    if not found.with_name(_LIBRARY).exists():
        _unpack(found)
    return found


def _unpack(jar: Path) -> None:
    inside = f"org/apache/comet/linux/{_FOLDERS[platform.machine()]}/{_LIBRARY}"
    with (
        zipfile.ZipFile(jar) as opened,
        opened.open(inside) as packed,
        tempfile.NamedTemporaryFile(dir=jar.parent, prefix=".unpack-", delete=False) as part,
    ):
        shutil.copyfileobj(packed, part, 1 << 20)
    Path(part.name).chmod(0o644)
    Path(part.name).rename(jar.with_name(_LIBRARY))  # atomic: two processes may unpack at once


def _has_avx2(cpuinfo: Path) -> bool:
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    return flags is not None and "avx2" in flags[1].split()


if __name__ == "__main__":
    try:
        print(unsupported() or fetch())
    except PeacewatchError as error:
        sys.exit(str(error))
