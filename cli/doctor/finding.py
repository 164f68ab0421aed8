"""The result of a check of a service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

Verdict = Literal["fine", "wrong", "unknown"]


@dataclass(frozen=True)
class Finding:
    """`part`: the service. `what`: what was checked. `said`: what was found. `mend`: what to do if it is wrong."""

    part: str
    what: str
    verdict: Verdict
    said: str = ""
    mend: str = ""

    def as_json(self) -> dict[str, str]:
        """For programs."""
        return {
            "part": self.part,
            "what": self.what,
            "verdict": self.verdict,
            "said": self.said,
            "mend": self.mend,
        }


def fine(part: str, what: str, said: str = "") -> Finding:
    """Nothing is wrong."""
    return Finding(part, what, "fine", said)


def wrong(part: str, what: str, said: str, mend: str) -> Finding:
    """Something is wrong, and `mend` says what to do."""
    return Finding(part, what, "wrong", said, mend)


def unknown(part: str, what: str, said: str) -> Finding:
    """It could not be checked, so it may be fine or wrong."""
    return Finding(part, what, "unknown", said)


def verdict(part: str, what: str, is_fine: bool, said: str, mend: str) -> Finding:
    """Fine or wrong, by `is_fine`."""
    return fine(part, what, said) if is_fine else wrong(part, what, said, mend)


_COLOURS = {"fine": "green", "wrong": "bold red", "unknown": "yellow"}


def table(findings: Iterable[Finding]) -> Table:
    """The findings for a terminal. Below each thing that is wrong stands how to fix it."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("service", "check", "", "found"):
        shown.add_column(name, overflow="fold")
    before = ""
    for finding in findings:
        said = Text(finding.said)
        if finding.mend:
            said.append(f"\n→ {finding.mend}", style="bold")
        part = finding.part if finding.part != before else ""
        before = finding.part
        shown.add_row(part, finding.what, Text(finding.verdict, style=_COLOURS[finding.verdict]), said)
    return shown
