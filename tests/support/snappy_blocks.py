"""Snappy as producers write it, made by Arrow's codec."""

from __future__ import annotations

import struct

import pyarrow as pa

from infra.kafka.snappy import FRAME

BLOCK = 32 * 1024
"""Bytes that Java's client compresses at once."""


def bare(data: bytes) -> bytes:
    """One block, as librdkafka."""
    compressed: bytes = pa.compress(data, codec="snappy", asbytes=True)
    return compressed


def framed(data: bytes) -> bytes:
    """Blocks in the frame of snappy-java."""
    blocks = [bare(data[start : start + BLOCK]) for start in range(0, len(data), BLOCK)]
    return FRAME + struct.pack(">ii", 1, 1) + b"".join(struct.pack(">i", len(block)) + block for block in blocks)
