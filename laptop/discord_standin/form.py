"""Reads the values of a request's form and collects the errors, in the nested shape of Discord's `errors`.

Source of the shape and codes: https://docs.discord.com/developers/reference#error-messages
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from laptop.discord_standin import limits

Path = Sequence[str | int]
INTEGERS_FROM_TEXT_UP_TO: Final = 20  # digits of the largest snowflake


class Form:
    """Reads values one by one; `errors` collects everything that is wrong with them."""

    def __init__(self) -> None:
        self.errors: dict[str, Any] = {}

    def refuse(self, path: Path, code: str, message: str) -> None:
        """Adds an error at `path`."""
        node = self.errors
        for part in path:
            node = node.setdefault(str(part), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def text(self, value: Any, path: Path, most: int, *, required: bool = False) -> str | None:
        """The text, trimmed as Discord trims it. Its length is checked before trimming, the stricter reading."""
        if value is not None and not isinstance(value, str | int | float):
            self.refuse(path, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
            return None
        text = None if value is None else str(value)
        if text is not None and limits.units(text) > most:
            self.refuse(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        text = text.strip() if text is not None else None
        if required and not text:
            self.refuse(path, "BASE_TYPE_REQUIRED", "This field is required")
        return text or None

    def flag(self, value: Any, path: Path) -> bool:
        if value is None or isinstance(value, bool):
            return bool(value)
        if str(value).lower() in {"true", "1", "false", "0"}:
            return str(value).lower() in {"true", "1"}
        self.refuse(path, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")
        return False

    def integer(self, value: Any, path: Path, most: int) -> int | None:
        if value is None:
            return None
        number = _integer(value)
        if number is None:
            self.refuse(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        elif number < 0:
            self.refuse(path, "NUMBER_TYPE_MIN", "int value should be greater than or equal to 0.")
        elif number > most:
            self.refuse(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {most}.")
        return number

    def url(self, value: Any, path: Path, *, attachment: bool = False) -> str | None:
        """An http(s) URL, or `attachment://name` if a picture may be one of the message's files."""
        text = self.text(value, path, limits.URL)
        if text is None:
            return None
        schemes = ("http", "https", "attachment") if attachment else ("http", "https")
        try:
            parts = urlsplit(text)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme and parts.scheme not in schemes:
            self.refuse(path, "URL_TYPE_INVALID_SCHEME", f'Scheme "{parts.scheme}" must be one of {schemes}.')
        elif not parts.scheme or not parts.hostname or any(character.isspace() for character in text):
            self.refuse(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
        return text

    def moment(self, value: Any, path: Path) -> str | None:
        """An ISO 8601 time, converted to UTC; a time without a zone is taken as UTC."""
        if value is None:
            return None
        try:
            time = datetime.fromisoformat(value)
            return (time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)).isoformat()
        except (TypeError, ValueError, OverflowError):
            self.refuse(path, "DATE_TIME_TYPE_PARSE", f"Could not parse {value}. Should be ISO8601.")
            return None

    def items(self, value: Any, path: Path, most: int) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return []
        if len(value) > most:
            self.refuse(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
            return []
        return value

    def record(self, value: Any, path: Path) -> dict[str, Any] | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            return None
        return value


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= INTEGERS_FROM_TEXT_UP_TO else None
