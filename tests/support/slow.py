"""Cases that only `script/test --all` runs, next to those that each run has."""

from __future__ import annotations

from typing import Any

import pytest


def slow(*values: Any) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
