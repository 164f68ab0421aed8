"""Which partitions are not landed up to a time, in one sentence that a person reads on a phone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fleet.reports.watermark import behind

UNTIL = datetime(2026, 11, 24, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("late", "sentences"),
    [
        ([], []),
        ([3], ["partition 3 is landed up to 2026-11-24 05:00 UTC only"]),
        ([2, 10], ["partitions 2 and 10 are landed up to 2026-11-24 05:00 UTC only, or little further"]),
        ([0, 2, 10], ["partitions 0, 2 and 10 are landed up to 2026-11-24 05:00 UTC only, or little further"]),
        (list(range(12)), ["partitions 0 to 11 are landed up to 2026-11-24 05:00 UTC only, or little further"]),
    ],
)
def test_partitions_that_are_behind_are_one_sentence(late: list[int], sentences: list[str]) -> None:
    hour = int(UNTIL.timestamp() * 1000)
    through = {f"topic/7/{n}": hour - 3_600_000 + 1000 * late.index(n) if n in late else hour for n in range(12)}
    assert behind(through, UNTIL) == sentences
