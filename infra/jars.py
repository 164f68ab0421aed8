"""Jars from the Maven repository: fetched once, by the Ivy that pyspark carries, and checked against a list of hashes.

They are in the environment of the packages, so all data folders share them and each clone has its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fleet.errors import MissingPart
from infra.java import java

SHARE: Final = Path(sys.prefix, "share", "peacewatch")

_MODULE: Final = """<ivy-module version="2.0">
  <info organisation="peacewatch" module="jars"/>
  <dependencies>
{lines}
  </dependencies>
</ivy-module>
"""


@dataclass(frozen=True)
class Jars:
    """Jars that are fetched together. `what`: what they are for; `name`: their folder; `artifacts`: organisation/name
    -> version, with all dependencies except those in `without`: organisations, or organisation/name.

    `hashes` has one `<sha256>  <jar>` a line, as sha256sum writes it: what is fetched must be exactly this.
    """

    what: str
    name: str
    artifacts: Mapping[str, str]
    hashes: Path
    without: tuple[str, ...] = ()

    def fetch(self, share: Path = SHARE) -> Path:
        """The folder with the jars below `share`; fetches them if it is missing. Several processes may ask at once.

        Raises MissingPart if they cannot be had, with what Ivy said, are not those of `hashes`, or cannot be kept.
        """
        folder = share / self.name
        if folder.is_dir():  # complete; on a read-only root no lock could be made
            return folder
        try:
            self._fetch(share, folder)
        except OSError as error:
            raise MissingPart(f"the jars of {self.what} cannot be kept in {folder}: {error.strerror}") from None
        return folder

    def _fetch(self, share: Path, folder: Path) -> None:
        share.mkdir(parents=True, exist_ok=True)
        with (share / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                with tempfile.TemporaryDirectory(dir=share, prefix=".fetch-") as made:
                    self._retrieve(Path(made))
                    self._check(Path(made, "jars"))
                    Path(made, "jars").rename(folder)

    def _retrieve(self, into: Path) -> None:
        module = into / "ivy.xml"
        module.write_text(self._module(), encoding="utf-8")
        # -warn: with -error a failure prints nothing. The cache is temporary: nothing is left in the user's home.
        pattern = into / "jars" / "[artifact]-[revision](-[classifier]).[ext]"
        ivy = ["-warn", "-cache", into / "cache", "-ivy", module, "-retrieve", pattern, "-types", "jar", "bundle"]
        result = subprocess.run(  # noqa: S603 - the command is ours
            [str(java()), "-jar", *map(str, (_ivy(), *ivy))],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            shutil.rmtree(into / "jars", ignore_errors=True)
            reasons = [line.strip() for line in (result.stdout + result.stderr).splitlines() if line.strip(" .\t")]
            raise MissingPart(f"the jars of {self.what} cannot be fetched: " + " | ".join(reasons[-8:])[:2000])

    def _module(self) -> str:
        lines = []
        for artifact, version in self.artifacts.items():
            organisation, name = artifact.split("/")
            lines.append(f'<dependency org="{organisation}" name="{name}" rev="{version}" conf="default->default"/>')
        for excluded in self.without:
            organisation, _, name = excluded.partition("/")
            lines.append(f'<exclude org="{organisation}" module="{name or "*"}"/>')
        return _MODULE.format(lines="\n".join(lines))

    def _check(self, jars: Path) -> None:
        digests = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
        lines = self.hashes.read_text(encoding="utf-8").splitlines()
        wanted = {name: digest for digest, name in map(str.split, lines)}
        wrong = sorted(name for name in digests.keys() | wanted.keys() if digests.get(name) != wanted.get(name))
        if wrong:
            raise MissingPart(f"these jars of {self.what} are not the ones of {self.hashes.name}: {', '.join(wrong)}")


def _ivy() -> Path:
    spark = find_spec("pyspark")
    jars = (
        sorted(Path(spark.submodule_search_locations[0], "jars").glob("ivy-*.jar"))
        if spark and (spark.submodule_search_locations)
        else []
    )
    if not jars:
        raise MissingPart("pyspark, which carries the Ivy jar, is not installed; run script/bootstrap")
    return jars[-1]
