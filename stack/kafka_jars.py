"""The jars of Apache Kafka: fetched once, by the Ivy that pyspark carries, and held to the list of their hashes.

They lie beside the environment's packages, so every data folder shares them and a clone brings its own.
`python -m stack.kafka_jars` fetches them; so does `script/bootstrap`.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fleet.errors import MissingPart, PeacewatchError
from stack.java import java

VERSION: Final = "4.4.0"
JARS: Final = Path(sys.prefix, "share", "peacewatch", f"kafka-{VERSION}")
HASHES: Final = Path(__file__).with_name("kafka_jars.sha256")
"""One `<sha256>  <jar>` a line, as sha256sum writes it: what is fetched must be exactly this."""

_IVY_MODULE: Final = f"""<ivy-module version="2.0">
  <info organisation="peacewatch" module="kafka"/>
  <dependencies>
    <dependency org="org.apache.kafka" name="kafka_2.13" rev="{VERSION}" conf="default->default"/>
    <dependency org="org.slf4j" name="slf4j-simple" rev="1.7.36" conf="default->default"/>
  </dependencies>
</ivy-module>
"""


def fetch_jars(folder: Path = JARS) -> Path:
    """The folder with Kafka's jars; fetches them when it is not there. Several processes may ask at once.

    Raises MissingPart with what Ivy said when they cannot be had, or are not those of HASHES.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.parent.joinpath(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as made:
                _retrieve(Path(made))
                _check(Path(made, "jars"))
                Path(made, "jars").rename(folder)
    return folder


def _retrieve(into: Path) -> None:
    module = into / "ivy.xml"
    module.write_text(_IVY_MODULE, encoding="utf-8")
    # -warn: with -error a failure prints nothing. The cache is thrown away: nothing is left in the user's home.
    ivy = [java(), "-jar", _ivy(), "-warn", "-cache", into / "cache", "-ivy", module, "-retrieve"]
    told = subprocess.run(  # noqa: S603 - the command is ours
        [*map(str, ivy), str(into / "jars" / "[artifact]-[revision](-[classifier]).[ext]"), "-types", "jar", "bundle"],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        shutil.rmtree(into / "jars", ignore_errors=True)
        reasons = [line.strip() for line in (told.stdout + told.stderr).splitlines() if line.strip(" .\t")]
        raise MissingPart("the jars of Kafka cannot be fetched: " + " | ".join(reasons[-8:])[:2000])


def _ivy() -> Path:
    spark = find_spec("pyspark")
    found = (
        sorted(Path(spark.submodule_search_locations[0], "jars").glob("ivy-*.jar"))
        if spark and (spark.submodule_search_locations)
        else []
    )
    if not found:
        raise MissingPart("pyspark, which carries the Ivy jar, is not installed; run script/bootstrap")
    return found[-1]


def _check(jars: Path) -> None:
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
    wanted = {name: digest for digest, name in map(str.split, HASHES.read_text(encoding="utf-8").splitlines())}
    wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    if wrong:
        raise MissingPart(f"these jars of Kafka are not the ones of {HASHES.name}: {', '.join(wrong)}")


if __name__ == "__main__":
    try:
        print(fetch_jars())
    except PeacewatchError as error:
        sys.exit(str(error))
