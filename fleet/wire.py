"""JSON of our own topics and reports: layouts, decoding that raises one error, sizes as they are encoded. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from fleet.layout import FIRST, LARGEST, refuse_newer

_T = TypeVar("_T")
_encoder = msgspec.json.Encoder()


class _Layout(msgspec.Struct):
    layout: Annotated[int, Meta(ge=FIRST, le=LARGEST)] = FIRST


_layout_decoder = msgspec.json.Decoder(_Layout)


class Codec(Generic[_T]):
    """One kind of message as JSON. `what` names one in an error.

    Raise `layout` when an older version could misread a message; a field that it may ignore changes nothing. From then
    on each message has it as its first field, and this version still reads those of the layouts before.
    """

    def __init__(self, kind: type[_T], what: str, layout: int = FIRST) -> None:
        self._decoder, self._what, self._layout = msgspec.json.Decoder(kind), what, layout

    def encode(self, message: _T) -> bytes:
        value = _encoder.encode(message)
        # every message has a field without a default, so something follows the comma
        return value if self._layout == FIRST else b'{"layout":%d,' % self._layout + value[1:]

    def decode(self, value: bytes) -> _T:
        """Raises NewerLayout, and msgspec.MsgspecError for what is no such message, whatever the bytes: msgspec itself
        raises other errors for some, which would stop a consumer that skips invalid messages."""
        require_known(value, self._what, self._layout)
        with _one_error():
            return self._decoder.decode(value)


def require_known(value: bytes, what: str, known: int) -> None:
    """Raises NewerLayout if a message has a newer layout than `known`, whatever else it has, and MsgspecError."""
    if b'"layout"' in value:  # a quote within a text is escaped, so this is a name or a whole text
        with _one_error():
            layout = _layout_decoder.decode(value).layout
        refuse_newer(what, layout, known)


@contextmanager
def _one_error() -> Iterator[None]:
    try:
        yield
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
