"""Snappy, as producers of Kafka write it: a bare block (librdkafka), or blocks in snappy-java's frame (Java's client).

A block names its length first, so nothing beyond the bound is decompressed. Source of the frame: xerial/
snappy-java, `SnappyOutputStream`.
"""

from __future__ import annotations

from typing import Final

from cramjam import snappy

FRAME: Final = b"\x82SNAPPY\x00"
FRAME_HEAD: Final = 16
"""Bytes before the first block of a frame: FRAME, its version and the oldest that can read it."""


def decompressed(data: bytes, most: int) -> bytes:
    """All that `data` hold. Raises ValueError beyond `most` bytes, cramjam.DecompressionError for garbage."""
    if not data.startswith(FRAME):
        return _block(data, most)
    made = bytearray()
    pos = FRAME_HEAD
    while pos < len(data):
        end = pos + 4 + int.from_bytes(data[pos : pos + 4], "big")
        if end > len(data):
            raise ValueError("a block ends beyond the data")
        made += _block(data[pos + 4 : end], most - len(made))
        pos = end
    return bytes(made)


def _block(data: bytes, most: int) -> bytes:
    if snappy.decompress_raw_len(data) > most:
        raise ValueError("over the bound")
    return bytes(snappy.decompress_raw(data))
