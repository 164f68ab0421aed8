"""Every record of a batch is read, or named where it stands, whatever bytes it has: none is an error for ever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from infra.kafka.decompression import BoundedBatch
from infra.kafka.record_reading import HEADERS, LATEST_MS, NOT_READ
from tests.support import raw_kafka
from tests.support.raw_kafka import RawRecord

LOG_APPEND_TIME = 8
ATTRIBUTES, BASE_OFFSET, RECORDS = slice(21, 23), slice(0, 8), 61


def read(data: bytes) -> list[Any]:
    batch = DefaultRecordBatch(data)
    batch.__class__ = BoundedBatch
    return list(batch)


def of_broker(data: bytes, base: int = 0, attributes: int = 0) -> bytes:
    """As the broker has it: with its first offset and attributes."""
    changed = bytearray(data)
    changed[BASE_OFFSET], changed[ATTRIBUTES] = base.to_bytes(8, "big"), attributes.to_bytes(2, "big")
    return bytes(changed)


def test_every_record_has_the_offset_that_the_broker_counts() -> None:
    records = [RawRecord(b"a", offset_delta=2**31 - 1), RawRecord(b"b", offset_delta=0), RawRecord(b"c")]
    found = read(of_broker(raw_kafka.batch(records), base=700))
    assert [(record.offset, record.value) for record in found] == [(700, b"a"), (701, b"b"), (702, b"c")]


def test_a_compacted_batch_keeps_its_gaps() -> None:
    changed = bytearray(raw_kafka.batch([RawRecord(b"a", offset_delta=3), RawRecord(b"b", offset_delta=9)]))
    changed[23:27] = (9).to_bytes(4, "big")  # the last offset
    assert [record.offset for record in read(of_broker(bytes(changed), base=50))] == [53, 59]


@pytest.mark.parametrize("attributes", [0, 1, 0x7F, 0x80, 0xFF])
def test_no_bit_of_a_records_attributes_means_anything(attributes: int) -> None:
    (record,) = read(raw_kafka.batch([RawRecord(b"{}", b"key", attributes)]))
    assert (record.key, record.value) == (b"key", b"{}")


def test_a_headers_name_that_is_no_text_is_read_as_far_as_it_is() -> None:
    (record,) = read(raw_kafka.batch([RawRecord(b"{}", headers=[(b"a\xff", b"\xfe"), (b"", None)])]))
    assert record.headers == [("a�", b"\xfe"), ("", None)]


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (HEADERS, HEADERS), (HEADERS + 1, HEADERS), (200_000, HEADERS)])
def test_headers_are_bounded_and_the_next_record_is_read(count: int, kept: int) -> None:
    many = RawRecord(b"{}", raw_headers=raw_kafka.empty_headers(count))
    first, second = read(raw_kafka.batch([many, RawRecord(b"neighbour")]))
    assert (len(first.headers), first.value, second.value) == (kept, b"{}", b"neighbour")


@pytest.mark.parametrize("ms", [-(2**62), -1, 0, 10**15, 2**62])
def test_a_time_of_a_drones_making_is_one_that_exists(ms: int) -> None:
    (record,) = read(raw_kafka.batch([RawRecord(b"{}")], timestamp=ms))
    assert record.timestamp == min(max(ms, 0), LATEST_MS)


def test_the_brokers_time_stands_for_all() -> None:
    data = of_broker(raw_kafka.batch([RawRecord(b"{}", timestamp_delta=-(2**40))], timestamp=5), 0, LOG_APPEND_TIME)
    assert read(data)[0].timestamp == 5


def test_a_record_whose_parts_do_not_fit_is_named_and_the_next_one_is_read() -> None:
    broken = RawRecord(b"{}", raw_headers=raw_kafka.varint(7) + b"\0")
    first, second = read(of_broker(raw_kafka.batch([broken, RawRecord(b"neighbour")]), base=10))
    assert first.value == NOT_READ + b"its parts are not as long as it is, offsets 10 to 10"
    assert (second.offset, second.value) == (11, b"neighbour")


def test_records_after_a_broken_length_are_named_once() -> None:
    data = bytearray(raw_kafka.batch([RawRecord(b"a"), RawRecord(b"b"), RawRecord(b"c")]))
    data[RECORDS + len(RawRecord(b"a").encode(0))] = 0xFE
    first, rest = read(bytes(data))
    assert (first.value, rest.offset) == (b"a", 1)
    assert rest.value == NOT_READ + b"no record begins here, offsets 1 to 2"


names = st.text(max_size=5)
parts = st.none() | st.binary(max_size=40)


@given(st.lists(st.tuples(parts, parts, st.lists(st.tuples(names, parts), max_size=3)), min_size=1, max_size=5))
def test_records_of_the_library_are_read_unchanged(records: list[Any]) -> None:
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 2**31 - 1)
    for offset, (key, value, headers) in enumerate(records):
        builder.append(offset, 1000 + offset, key, value, headers)
    found = [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in read(bytes(builder.build()))]
    assert found == [(at, 1000 + at, key, value, headers) for at, (key, value, headers) in enumerate(records)]


@given(st.integers(1, 5), st.binary(max_size=60), st.integers(0, 80), st.binary(min_size=1, max_size=12))
def test_no_bytes_make_an_error_and_offsets_ascend(count: int, value: bytes, at: int, broken: bytes) -> None:
    data = bytearray(raw_kafka.batch([RawRecord(value, b"k", headers=[(b"h", value)])] * count))
    place = RECORDS + at % (len(data) - RECORDS)
    data[place : place + len(broken)] = broken
    offsets = [record.offset for record in read(bytes(data))]
    assert offsets == list(range(len(offsets)))
    assert 1 <= len(offsets) <= count
