"""JSON of our own topics: decoding that raises one error, and sizes as they are encoded. Pure."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

_T = TypeVar("_T")
_encoder = msgspec.json.Encoder()


class Codec(Generic[_T]):
    """One kind of message as JSON."""

    def __init__(self, kind: type[_T]) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    def encode(self, message: _T) -> bytes:
        return _encoder.encode(message)

    def decode(self, value: bytes) -> _T:
        """Raises only msgspec.MsgspecError, whatever the bytes: msgspec itself raises other errors for some, which
        would stop a consumer that skips invalid messages."""
        try:
            return self._decoder.decode(value)
        except (UnicodeDecodeError, RecursionError) as error:
            raise msgspec.DecodeError(f"{type(error).__name__}: {error}") from None


def size(value: Any) -> int:
    """Bytes of `value` as JSON, which may be six for a character: control characters are escaped."""
    return len(_encoder.encode(value))


def cut(text: str, limit: int) -> str:
    """The longest beginning of `text` that has at most `limit` bytes as JSON, quotes included."""
    if 6 * len(text) + 2 <= limit or size(text) <= limit:
        return text
    fits, too_long = 0, limit  # no character is less than a byte
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if size(text[:middle]) <= limit:
            fits = middle
        else:
            too_long = middle
    return text[:fits]
