"""Ten minutes of the soak: everything at once under load, a fault a minute, and the checker finds nothing wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SEED = int(os.environ.get("PEACEWATCH_TEST_SEED") or time.time())
"""Read when the file is, for no setting reaches a test."""


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_ten_minutes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "10", "--rate", "100", "--seed", str(SEED)]
    output = tmp_path / "output.txt"
    with output.open("wb") as log:
        done = subprocess.run([*command, "--folder", tmp_path / "soak"], stdout=log, stderr=log, check=False)
    said = output.read_text()
    print(said)
    assert done.returncode == 0, said[-6000:]
    assert "VERDICT: all is well" in said
