"""A batch that holds much more than it weighs takes no memory, comes once, and its neighbours are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from infra.kafka import clients
from infra.kafka.decompression import BATCH, POLL, BoundedBatch
from infra.kafka.record_reading import NOT_READ
from tests.support import raw_kafka, snappy_blocks
from tests.support.kafka_messages import messages

MIB = 1024 * 1024
SNAPPY = {"librdkafka's": snappy_blocks.bare, "Java's": snappy_blocks.framed}
CODECS = {"gzip": 1, "lz4": 3, "zstd": 4}


def batch(codec: int, values: list[bytes], change: Callable[[bytearray], None] = lambda _data: None) -> Any:
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 2**31 - 1)
    for offset, value in enumerate(values):
        builder.append(offset, 1000, None, value, [])
    data = bytearray(builder.build())
    change(data)
    found = DefaultRecordBatch(data)
    found.__class__ = BoundedBatch
    return found


@pytest.mark.parametrize("codec", [0, *CODECS.values()])
@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_within_the_bound_is_read_whole(codec: int, count: int) -> None:
    values = [os.urandom(1000) * 1000 for _ in range(count)]
    assert [record.value for record in batch(codec, values)] == values


@pytest.mark.parametrize("codec", CODECS.values())
def test_a_batch_at_the_bound_is_whole_and_one_past_it_is_cut(codec: int) -> None:
    around = 13  # bytes around the value of a record
    for more, whole in ((0, True), (1, False)):
        values = [bytes(BATCH - around + more)]
        records = list(batch(codec, values))
        assert len(records) == 1
        assert (records[0].value == values[0]) is whole
        assert records[0].value.startswith(NOT_READ) is not whole


@pytest.mark.parametrize("codec", CODECS.values())
def test_the_rest_of_a_batch_is_one_record_that_says_so(codec: int) -> None:
    records = list(batch(codec, [bytes(MIB)] * 40))
    assert [len(record.value) for record in records[:-1]] == [MIB] * 31
    assert records[-1].value == NOT_READ + f"over {BATCH} bytes decompressed, offsets 31 to 39".encode()
    assert (records[-1].offset, records[-1].key) == (31, None)


def test_a_batch_that_cannot_be_decompressed_is_one_record() -> None:
    def break_it(data: bytearray) -> None:
        data[70:80] = bytes(10)

    for codec in CODECS.values():
        (record,) = batch(codec, [b"a" * 1000] * 5, break_it)
        assert record.value == NOT_READ + b"cannot be decompressed within the bound, offsets 0 to 4"

    def unknown(data: bytearray) -> None:
        data[22] = 5

    (record,) = batch(1, [b"a" * 1000] * 5, unknown)
    assert record.value == NOT_READ + b"cannot be decompressed within the bound, offsets 0 to 4"


@pytest.mark.parametrize("written", SNAPPY.values(), ids=SNAPPY)
def test_snappy_of_either_form_is_read_from_a_real_broker(
    kafka: str, topic: Callable[..., str], written: Callable[[bytes], bytes]
) -> None:
    name, values = topic("reports", partitions=1), [os.urandom(500) * 100 for _ in range(5)]
    records = [raw_kafka.RawRecord(value, b"key") for value in values]
    assert raw_kafka.send(kafka, name, 0, raw_kafka.batch(records, snappy=written)) == 0
    assert [(record.offset, record.value) for record in messages(kafka, name)] == list(enumerate(values))


def test_polls_of_a_real_topic_are_bounded(kafka: str, topic: Callable[..., str]) -> None:
    """300 messages of 1 MB in one batch of 30 KB: it comes once, in pieces, and the next message comes after it."""
    name = topic("reports", partitions=1)
    at = TopicPartition(name, 0)
    sizes = {"batch_size": 400 * MIB, "max_request_size": 400 * MIB}
    with closing(clients.producer(kafka, compression_type="zstd", linger_ms=5000, **sizes)) as producer:
        for _ in range(100):
            producer.send(name, bytes(MIB - 100))
        producer.flush()
    with closing(clients.producer(kafka)) as producer:
        producer.send(name, b"the neighbour").get(30)
    polls: list[list[Any]] = []
    with closing(clients.consumer(kafka, enable_auto_commit=False, max_poll_records=5000)) as consumer:
        consumer.assign([at])
        consumer.seek_to_beginning(at)
        while not polls or polls[-1][-1].value != b"the neighbour":
            polls += [found[at] for found in [consumer.poll(timeout_ms=500)] if found]
    assert max(sum(len(record.value) for record in poll) for poll in polls) <= POLL + MIB
    values = [record.value for poll in polls for record in poll]
    assert values[-1] == b"the neighbour"
    assert values[-2].startswith(NOT_READ)
    assert len(values) < 40
