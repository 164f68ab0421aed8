"""How many examples a property is tried with: `script/test --all` tries all of them, `script/test` a share."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, settings

ALL: Final = 100
SHARE: Final = 40
"""Of ALL. Each run draws its own, so the days' runs make up for what one leaves out."""


def configure(config: pytest.Config) -> None:
    """Call it before the first module of tests is imported."""
    tried = SHARE if "not slow" in config.option.markexpr else ALL
    # A loaded machine is slow, and that is no defect: nothing here is a measurement.
    settings.register_profile(
        "peacewatch", max_examples=tried, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("peacewatch")


def examples(count: int) -> int:
    """Of `count` examples, those of this run."""
    return max(1, count * settings().max_examples // ALL)
