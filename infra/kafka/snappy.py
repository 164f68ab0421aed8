"""Snappy, as producers of Kafka write it: a bare block (librdkafka), or blocks in snappy-java's frame (Java's client).

In Python alone, since every role reads Kafka and no library here decompresses to a bound. A batch of 1 MiB takes half a
second at worst, one of usual reports a tenth of that. Source: google/snappy, `format_description.txt`; xerial/
snappy-java, `SnappyOutputStream`.
"""

from __future__ import annotations

from typing import Final

FRAME: Final = b"\x82SNAPPY\x00"
FRAME_HEAD: Final = 16
"""Bytes before the first block of a frame: FRAME, its version and the oldest that can read it."""

_LITERAL, _COPY_1, _COPY_2 = 0, 1, 2
_SHORT_LITERAL: Final = 60
"""Up to here the tag holds a literal's length; past it, how many bytes hold it."""


def decompressed(data: bytes, most: int) -> bytes:
    """At most `most` bytes. Raises ValueError or IndexError for what is no Snappy."""
    if not data.startswith(FRAME):
        return _block(data, most)
    parts: list[bytes] = []
    pos = FRAME_HEAD
    while pos < len(data) and most > 0:
        size = int.from_bytes(data[pos : pos + 4], "big", signed=True)
        if not 0 < size <= len(data) - pos - 4:
            raise ValueError("a block ends beyond the data")
        parts.append(_block(data[pos + 4 : pos + 4 + size], most))
        most -= len(parts[-1])
        pos += 4 + size
    return b"".join(parts)


def _block(data: bytes, most: int) -> bytes:
    said, pos = _length(data)
    most = min(most, said)
    made = bytearray()
    while pos < len(data) and len(made) < most:
        tag = data[pos]
        kind = tag & 3
        if kind == _LITERAL:
            length, pos = (tag >> 2) + 1, pos + 1
            if length > _SHORT_LITERAL:
                size = length - _SHORT_LITERAL
                length, pos = int.from_bytes(data[pos : pos + size], "little") + 1, pos + size
            made += data[pos : pos + length]
            pos += length
            continue
        if kind == _COPY_1:
            length, offset, pos = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[pos + 1], pos + 2
        else:
            size = 2 if kind == _COPY_2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[pos + 1 : pos + 1 + size], "little")
            pos += 1 + size
        start = len(made) - offset
        if offset == 0 or start < 0:
            raise ValueError("a copy of what is not there")
        made += made[start : start + length] if length <= offset else (made[start:] * (length // offset + 1))[:length]
    if len(made) < most:
        raise ValueError("the data end too soon")
    return bytes(made[:most])


def _length(data: bytes) -> tuple[int, int]:
    """The length that a block says it has, and the position after it."""
    length = 0
    for pos in range(5):
        length |= (data[pos] & 0x7F) << 7 * pos
        if data[pos] < 0x80:
            return length, pos + 1
    raise ValueError("no length")
