"""Record batches written byte by byte, as a client of anybody's own making sends them: no library makes such."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import zstandard
from crc32c import crc32c
from kafka.record.util import encode_varint

PRODUCE: tuple[int, int] = (0, 7)
"""Kind and version of the request."""

TIMEOUT_MS = 30_000


@dataclass(frozen=True)
class RawRecord:
    """A record. `attributes` is a byte; `offset_delta` -1: its own place in the batch; `headers`: name and value."""

    value: bytes | None
    key: bytes | None = None
    attributes: int = 0
    offset_delta: int = -1
    timestamp_delta: int = 0
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    raw_headers: bytes | None = None

    def encode(self, index: int) -> bytes:
        body = bytes([self.attributes]) + varint(self.timestamp_delta)
        body += varint(index if self.offset_delta < 0 else self.offset_delta)
        body += _bytes(self.key) + _bytes(self.value)
        if self.raw_headers is None:
            body += varint(len(self.headers)) + b"".join(_bytes(name) + _bytes(value) for name, value in self.headers)
        else:
            body += self.raw_headers
        return varint(len(body)) + body


def empty_headers(count: int) -> bytes:
    """So many headers of no name and no value, two bytes each."""
    return varint(count) + varint(0) * (2 * count)


def batch(
    records: Sequence[RawRecord],
    *,
    zstd: bool = False,
    timestamp: int = 0,
    snappy: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """A batch of message format 2, perhaps compressed."""
    body = b"".join(record.encode(index) for index, record in enumerate(records))
    codec = 0
    if zstd:
        codec, body = 4, zstandard.compress(body)
    elif snappy is not None:
        codec, body = 2, snappy(body)
    count = len(records)
    head = struct.pack(">hiqqqhii", codec, count - 1, timestamp, timestamp, -1, -1, -1, count)
    checked = head + body
    return struct.pack(">qiibI", 0, len(checked) + 9, -1, 2, crc32c(checked)) + checked


def send(bootstrap: str, topic: str, partition: int, records: bytes) -> int:
    """Has the broker append a batch; its error code, 0 if it has taken it."""
    name = topic.encode()
    body = struct.pack(">hhi", -1, -1, TIMEOUT_MS)  # no transaction; all replicas
    body += struct.pack(">ih", 1, len(name)) + name + struct.pack(">iii", 1, partition, len(records)) + records
    request = struct.pack(">hhih", *PRODUCE, 1, 3) + b"raw" + body
    host, _, port = bootstrap.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_MS / 1000) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answers:
            (length,) = struct.unpack(">i", answers.read(4))
            answer = answers.read(length)
    # correlation id, one topic with its name, one partition with its number; then the error
    at = 4 + 4 + 2 + len(name) + 4 + 4
    return int(struct.unpack_from(">h", answer, at)[0])


def varint(number: int) -> bytes:
    written = bytearray()
    encode_varint(number, written.append)
    return bytes(written)


def _bytes(value: bytes | None) -> bytes:
    return varint(-1) if value is None else varint(len(value)) + value
