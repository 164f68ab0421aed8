"""Snappy is read as its own library writes it, to a bound, and garbage raises one of two errors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from cramjam import DecompressionError
from hypothesis import given
from hypothesis import strategies as st

from infra.kafka.snappy import decompressed
from tests.support.snappy_blocks import BLOCK, bare, framed

FORMS = pytest.mark.parametrize("written", [bare, framed])
texts = st.lists(st.sampled_from([b"abc", b"a" * 70, b"0123456789" * 30, b"\0"]) | st.binary(max_size=80), max_size=60)


@FORMS
@given(parts=texts)
def test_written_blocks_are_read(written: Callable[[bytes], bytes], parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert decompressed(written(data), 10**6) == data


@FORMS
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 1])
def test_block_over_the_bound_is_refused_before_it_is_decompressed(
    written: Callable[[bytes], bytes], size: int
) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert decompressed(written(data), size) == data
    if size:
        with pytest.raises(ValueError, match="bound"):
            decompressed(written(data), size - 1)


def test_a_length_that_is_not_there_takes_no_memory() -> None:
    """Four gigabytes are said by five bytes."""
    with pytest.raises(ValueError, match="bound"):
        decompressed(b"\xff\xff\xff\xff\x0fa", 10**6)


@given(st.binary(max_size=200) | st.builds(framed, st.binary(max_size=50)), st.integers(0, 60), st.binary(max_size=4))
def test_garbage_is_an_error_or_bounded(data: bytes, at: int, broken: bytes) -> None:
    data = data[:at] + broken + data[at + len(broken) :]
    with contextlib.suppress(ValueError, DecompressionError):
        assert len(decompressed(data, 1000)) <= 1000
