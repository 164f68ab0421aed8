"""Snappy is read as its own library writes it, to a bound, and garbage raises one of two errors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.kafka.snappy import decompressed
from tests.support.snappy_blocks import BLOCK, bare, framed

FORMS = pytest.mark.parametrize("written", [bare, framed])
texts = st.lists(st.sampled_from([b"abc", b"a" * 70, b"0123456789" * 30, b"\0"]) | st.binary(max_size=80), max_size=60)


@FORMS
@given(parts=texts)
def test_what_was_written_is_read(written: Callable[[bytes], bytes], parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert decompressed(written(data), 10**6) == data


@FORMS
@pytest.mark.parametrize("most", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 1])
def test_no_more_is_made_than_the_bound(written: Callable[[bytes], bytes], most: int) -> None:
    data = bytes(range(256)) * (3 * BLOCK // 256)
    assert decompressed(written(data), most) == data[:most]


@pytest.mark.parametrize(
    ("data", "made"),
    [
        (b"\x0a\x00a\x15\x01", b"a" * 10),  # a copy of what it makes itself
        (b"\x03\x00a\x06\x01\x00", b"aaa"),
        (b"\x03\x00a\x07\x01\x00\x00\x00", b"aaa"),
        (b"\x02\xf0\x01ab", b"ab"),  # a literal with a length of its own
    ],
)
def test_each_kind_of_element(data: bytes, made: bytes) -> None:
    assert decompressed(data, 100) == made


@given(st.binary(max_size=200) | st.builds(framed, st.binary(max_size=50)), st.integers(0, 60), st.binary(max_size=4))
def test_garbage_is_an_error_or_bounded(data: bytes, at: int, broken: bytes) -> None:
    data = data[:at] + broken + data[at + len(broken) :]
    with contextlib.suppress(ValueError, IndexError):
        assert len(decompressed(data, 1000)) <= 1000
