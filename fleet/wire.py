"""JSON of our own topics back into what it is."""

from __future__ import annotations

from typing import TypeVar

import msgspec

_T = TypeVar("_T")


def decode(decoder: msgspec.json.Decoder[_T], value: bytes) -> _T:
    """Raises msgspec.MsgspecError, whatever the bytes: msgspec itself has other errors for some, and whoever reads on
    after one that is no message of ours would end there, for ever."""
    try:
        return decoder.decode(value)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from None
