"""What tests of a fault under load wait for: more acknowledged reports, and that everything has arrived."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support import verdict
from tests.support.product import Product

WAIT_SECONDS: Final = 240
MORE: Final = 20_000
"""Bytes of acknowledgements, some 1,500: longer than a cluster needs to miss one of its servers."""


def wait_more(product: Product, notes: Path) -> None:
    """Until the broker has acknowledged many more reports than now."""
    size = notes.stat().st_size if notes.exists() else 0
    product.wait(lambda: notes.exists() and notes.stat().st_size > size + MORE, WAIT_SECONDS, "more reports")


def settled(product: Product, evidence: verdict.Evidence) -> verdict.Verdict:
    """The verdict once everything has arrived, or the last one in which something is still missing."""
    last: list[verdict.Verdict] = []

    def is_settled() -> bool:
        last[:] = [verdict.check(evidence)]
        return not last[0].wrong

    try:
        product.wait(is_settled, WAIT_SECONDS, "rest")
    except AssertionError as error:
        raise AssertionError(f"{last[0]}\n{error}") from None
    return last[0]
