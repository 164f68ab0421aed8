"""Java, for Kafka and Spark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from fleet.errors import MissingPart

OLDEST: Final = 17
"""Kafka 4 and Spark 4 need it."""

_ADVICE: Final = f"install Java {OLDEST} or newer (Debian: apt-get install openjdk-17-jre-headless)"


def java() -> Path:
    """The Java to use: JAVA_HOME's, else the PATH's. Raises MissingPart, which says what to install."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if program is None or not Path(program).is_file():
        where = f"JAVA_HOME is {home}, and has no bin/java" if home else "there is no java on the PATH"
        raise MissingPart(f"{where}; {_ADVICE}")
    result = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r'version "(?:1\.)?(\d+)', result.stderr)
    if version is None or int(version[1]) < OLDEST:
        raise MissingPart(f"{program} is not Java {OLDEST} or newer; {_ADVICE}")
    return Path(program)
