"""Blocks of drone days go to MongoDB in groups, of bounded size."""

from __future__ import annotations

import pytest

from batch_layer.views import blocks
from infra.mongo.view_parts import Divided


def block(size: int, *others: int) -> Divided:
    return Divided(
        {"_id": "2026-11-24/00", "last": bytes(size), "drones": 9}, tuple({"rest": bytes(n)} for n in others)
    )


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [
        ([], []),
        ([0] * blocks.BLOCKS, [blocks.BLOCKS]),
        ([4, 5, 1], [3]),
        ([4, 6, 1], [2, 1]),  # at the bound
        ([4, 7, 1], [2, 1]),
        ([10, 10], [1, 1]),
        ([99, 1, 1], [1, 2]),
    ],
)
def test_a_group_ends_with_the_block_that_fills_it(sizes: list[int], lengths: list[int]) -> None:
    given = [block(size) for size in sizes]
    groups = list(blocks.groups(given, most=10))
    assert [len(group) for group in groups] == lengths
    assert [each for group in groups for each in group] == given


def test_parts_of_a_divided_block_count() -> None:
    assert [len(group) for group in blocks.groups([block(4, 5), block(0, 1), block(1)], most=10)] == [2, 1]
