"""The names of the environment's variables: a misspelt one has no effect, and nothing else says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from cli.doctor.finding import Finding, fine, wrong
from infra.settings import PREFIX, SECRETS, Settings
from laptop.supervision.reaper import VARIABLE as STACK

PART: Final = "settings"


def check(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The findings; never shows a value."""
    secrets = {f"{PREFIX}{name.upper()}" for name in SECRETS}
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{name}_FILE" for name in secrets}
    ours = {name for name, value in environ.items() if name.startswith(PREFIX) and value} - {STACK}
    unknown = sorted(ours - known)
    for name in unknown:
        similar = get_close_matches(name, known, 1)
        mend = f"did you mean {similar[0]}?" if similar else "docs/settings.md lists all settings"
        yield wrong(PART, name, "there is no such setting: it has no effect", mend)
    twice = sorted(name for name in secrets & ours if f"{name}_FILE" in ours)
    for name in twice:
        yield wrong(PART, name, f"is set, and {name}_FILE, too: the file counts", "unset one of them")
    if not unknown and not twice:
        yield fine(PART, "names", f"{len(ours)} are set")
