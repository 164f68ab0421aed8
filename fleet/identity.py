"""Ids made of outside text: an escaped join, so that two different things never get one id. Pure."""

from __future__ import annotations

SEPARATOR = "/"


def escape(part: str) -> str:
    """`part` without a separator: `%` and `/` as in RFC 3986, all else unchanged, so that usual ids stay readable."""
    return part.replace("%", "%25").replace(SEPARATOR, "%2F")


def join(*parts: str) -> str:
    """One id of several parts, each of any text: `join("unrest", "paris/7", "18")` is `unrest/paris%2F7/18`.

    Two different tuples never give one id, since no escaped part has a separator.
    """
    return SEPARATOR.join(map(escape, parts))


def split(joined: str) -> tuple[str, ...]:
    """The parts that `join` was given."""
    return tuple(part.replace("%2F", SEPARATOR).replace("%25", "%") for part in joined.split(SEPARATOR))
