"""Where files lie: a folder of this machine, or `s3://bucket/path`."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath


def require(location: str) -> None:
    """Raises ValueError if `location` is neither form: `s3:/bucket` and `~/lake` would be folders of these names
    below the working directory."""
    if not location or location.startswith("~") or _is_of_another_store(location):
        raise ValueError("is a folder, without ~, or s3://bucket/path")


def is_within(location: str, other: str) -> bool:
    """Whether `location` is `other`, or lies below it."""
    inner, outer = _absolute(location), _absolute(other)
    return inner == outer or outer in inner.parents


def _is_of_another_store(location: str) -> bool:
    return ":" in location.partition("/")[0] and not re.match(r"s3://[^/]", location)


def _absolute(location: str) -> PurePosixPath | Path:
    """An address of S3 as a path that no folder has: a bucket, and the names below it."""
    is_folder = "://" not in location
    return Path(location).resolve() if is_folder else PurePosixPath(location.replace("://", ":"))
