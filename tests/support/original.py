"""The original data, and whether an answer of the product's is the oracle's.

Where the original is not at hand, rows of the same shape take its place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle

ORIGINAL = Path(os.environ.get("PEACEWATCH_ORIGINAL_DATA", Path(__file__).parents[3] / "shared/data/drone_event.csv"))
ROWS = oracle.read(ORIGINAL) if ORIGINAL.exists() else oracle.like_the_original()


def same(answer: Any, expected: Any) -> Any:
    """Whether the answer says what the oracle says; it may say more (its version, say)."""
    if isinstance(expected, dict):
        return isinstance(answer, dict) and all(key in answer and same(answer[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(same, answer, expected))
    if isinstance(expected, float):
        return answer == pytest.approx(expected, rel=1e-12)
    return answer == expected
