"""Which block of a day a drone is in: the batch layer writes a day's drones in blocks, and a reader of one drone reads
one."""

from __future__ import annotations

from typing import Final

BLOCKS: Final = 64
"""A day of 540,000 drones is 64 documents of 8,400 drones, some 400 KB each; one drone's days are one block a day."""


def block_of(drone_id: str) -> int:
    """The block of a drone: FNV-1a of its id, the same in every process and language."""
    value = 0x811C9DC5
    for byte in drone_id.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value % BLOCKS
