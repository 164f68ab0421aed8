"""Rejected messages as lines of JSON, for people to correct: `value` is text, or `value_base64` if it is not text."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fleet.errors import BadInput
from fleet.text import escaped
from speed_layer.landing.rejected import RejectedRecord


class Line(msgspec.Struct, omit_defaults=True):
    """A rejected message. A corrected one has another `value`."""

    headers: dict[str, str]
    reject_offset: int = -1
    key: str | None = None
    key_base64: str | None = None
    value: str | None = None
    value_base64: str | None = None


def line(message: RejectedRecord) -> str:
    """One line, without its end, that a terminal can show."""
    key, key_base64 = _text(message.key)
    value, value_base64 = _text(message.value)
    written = Line(dict(message.headers), message.offset, key, key_base64, value, value_base64)
    return escaped(msgspec.json.encode(written).decode())


def read(path: Path) -> Iterator[RejectedRecord]:
    """The rejected messages of a file of such lines. Raises BadInput that names the line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadInput(str(path), error.strerror or "cannot be read") from None
    for number, text in enumerate(lines, 1):
        if text.strip():
            try:
                parsed = msgspec.json.decode(text, type=Line)
                key, value = _bytes(parsed.key, parsed.key_base64), _bytes(parsed.value, parsed.value_base64)
            except (msgspec.MsgspecError, ValueError) as error:
                raise BadInput(f"{path}, line {number}", str(error)) from None
            yield RejectedRecord(parsed.reject_offset, parsed.headers, key, value)


def _text(value: bytes | None) -> tuple[Any, Any]:
    if value is None:
        return None, None
    try:
        return value.decode("utf-8"), None
    except UnicodeDecodeError:
        return None, base64.b64encode(value).decode()


def _bytes(text: str | None, encoded: str | None) -> bytes | None:
    if encoded is not None:
        return base64.b64decode(encoded, validate=True)
    return None if text is None else text.encode()
