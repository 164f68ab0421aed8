"""Citizens' names as a keyed hash: who has the key can find a person's reports again, and nobody else. Pure."""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

from fleet.reports.report import Citizen, Report

KEY_LEAST: Final = 32
"""Characters of a key: 128 bits as hexadecimal digits. A shorter one could be found by trying."""

LENGTH: Final = 32
"""Hexadecimal digits of a pseudonym, 128 bits: no two of a billion names share one."""


class Pseudonyms:
    """One name has one pseudonym for as long as the key is the same, so a person's reports can still be counted."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of(self, report: Report) -> Report:
        """`report` without names. Peace scores stay."""
        if not report.citizens:
            return report
        citizens = [Citizen(self.of_name(citizen.name), citizen.peace_score) for citizen in report.citizens]
        return msgspec.structs.replace(report, citizens=citizens)

    def of_name(self, name: str) -> str:
        """Of the name as it is spelled; an empty one stays empty."""
        return hmac.digest(self._key, name.encode(), "sha256").hex()[:LENGTH] if name else name
