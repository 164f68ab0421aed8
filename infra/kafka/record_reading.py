"""Reads the records of a batch, whatever bytes a hostile client has put into it.

A broker accepts records that kafka-python 3.0.12 cannot read, or reads wrongly: a header's name that is not UTF-8, bits
in a record's attributes, another record's place in the batch, millions of headers of two bytes. In kafka-python such a
record is an error at the same offset for ever, or moves the reader past what it has not read. Here it is read with its
own offset; if its parts do not fit its length, the record NOT_READ replaces it.
"""

# kafka-python's batch class has no types, and its own slots.
# mypy: disable-error-code="misc,has-type,no-any-return"

from __future__ import annotations

from typing import Any, Final

from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

NOT_READ: Final = b"peacewatch: not read: "
"""How the value of the replacing record begins: it is not a report, so landing writes it to `reports.rejected` with its
place."""

HEADERS: Final = 100
"""Headers of a record; ours have ten. One takes two bytes on the wire and ninety in memory, so the rest is skipped."""

LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond that a time of Python can have, of the year 9999; the broker's own clock is never past it."""


class ReadableBatch(DefaultRecordBatch):
    """A batch whose every record is read, at the offset and with a time that the broker has given it."""

    __slots__ = ()

    def __next__(self) -> Any:
        """The next record. Raises nothing but StopIteration."""
        if self._next_record_index >= self._num_records:
            raise StopIteration
        try:
            length, first = decode_varint(self._buffer, self._pos)
        except (ValueError, IndexError):
            length = first = 0
        if not 0 < length <= len(self._buffer) - first:
            return self._not_read("no record begins here", is_rest=True)
        try:
            record = self._record(first, first + length)
        except (ValueError, IndexError):
            record = self._not_read("its parts are not as long as it is")
        self._next_record_index += 1
        self._pos = first + length
        return record

    next = __next__

    def _record(self, start: int, end: int) -> Any:
        """The record whose attributes are at `start`. Raises ValueError or IndexError if its parts do not fit."""
        buffer, key, value = self._buffer, None, None
        since_first, pos = decode_varint(buffer, start + 1)  # no bit of the attributes means anything
        place, pos = decode_varint(buffer, pos)
        size, pos = decode_varint(buffer, pos)
        if size >= 0:
            key, pos = bytes(buffer[pos : pos + size]), pos + size
        size, pos = decode_varint(buffer, pos)
        if size >= 0:
            value, pos = bytes(buffer[pos : pos + size]), pos + size
        count, pos = decode_varint(buffer, pos)
        headers, pos = _headers(buffer, pos, min(count, HEADERS)) if count else ([], pos)
        if pos > end or (count <= HEADERS and pos != end):
            raise ValueError("its parts end elsewhere")
        if self.timestamp_type == self.LOG_APPEND_TIME:
            timestamp = self.max_timestamp
        else:
            timestamp = min(max(self.first_timestamp + since_first, 0), LATEST_MS)
        return DefaultRecord(end - start, self._offset(place), timestamp, self.timestamp_type, key, value, headers)

    def _offset(self, place: int) -> int:
        """The broker counts the records of a batch, whatever they say. Only one that it has compacted has gaps."""
        last = self.last_offset_delta
        return self.base_offset + (min(max(place, 0), last) if self._num_records <= last else self._next_record_index)

    def _not_read(self, why: str, *, is_rest: bool = False) -> Any:
        """The record that replaces the next one, or it and all after it."""
        offset = self._offset(self._next_record_index)
        if is_rest:
            self._next_record_index, self._pos = self._num_records, len(self._buffer)
        last = self.last_offset if is_rest else offset
        value = NOT_READ + f"{why}, offsets {offset} to {last}".encode()
        timestamp = min(max(self.max_timestamp, 0), LATEST_MS)
        return DefaultRecord(len(value), offset, timestamp, self.timestamp_type, None, value, [])


def _headers(buffer: bytearray, pos: int, count: int) -> tuple[list[tuple[str, bytes | None]], int]:
    """This many headers, and the position after them. A name that is not UTF-8 is read as far as it is valid."""
    headers = []
    for _ in range(count):
        size, pos = decode_varint(buffer, pos)
        name, pos = buffer[pos : pos + size].decode("utf-8", "replace"), pos + size
        size, pos = decode_varint(buffer, pos)
        said = bytes(buffer[pos : pos + size]) if size >= 0 else None
        pos += max(size, 0)
        headers.append((name, said))
    return headers, pos
