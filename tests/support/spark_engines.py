"""A real Spark in this process, with its native engine and without: what holds of one holds of the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyspark
import pytest

from batch_layer.spark import aggregate, comet, session
from infra.java import java

ENGINES: Final = (pytest.param(comet.AUTO, id="comet"), pytest.param(comet.OFF, id="plain", marks=pytest.mark.slow))
"""Values of PEACEWATCH_COMET for tests that run on each."""

NATIVE: Final = f"Spark {pyspark.__version__} with Comet {comet.VERSION}"
"""What a run's document says of the engine."""


@contextmanager
def running(
    wanted: str, scratch: Path, seen: aggregate.Seen = lambda _query: None, jars: str | None = None, **extra: str
) -> Iterator[aggregate.SparkEngine]:
    """Spark with what `wanted` asks for, and `jars`, in a Java of its own; `extra`: further settings, `_` for a dot."""
    more = tuple((name.replace("_", "."), value) for name, value in extra.items())
    config = session.SparkConfig(java=java(), scratch=scratch, jars=jars, comet=comet.jar(wanted), extra=more)
    session.end_java()  # another class path
    with aggregate.start(config, seen) as engine:
        assert comet.loaded(engine.spark(0)) == (wanted == comet.AUTO)
        yield engine
