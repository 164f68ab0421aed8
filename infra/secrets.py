"""Secrets that lie in files, as orchestrators hand them over: the variable `NAME_FILE` names the file of `NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fleet.errors import BadSettings


def secret(environ: Mapping[str, str], name: str) -> str | None:
    """The text of the file for `name`; None: `environ` names none. Raises BadSettings, which shows nothing of it."""
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSettings(f"{name}_FILE: {error.strerror}: {path}") from None
    except ValueError:  # its text would show some of the secret
        raise BadSettings(f"{name}_FILE: not UTF-8 text: {path}") from None
