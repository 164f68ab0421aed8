"""Citizens' names as a keyed hash: only with the key can a person's reports be found. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from fleet.reports.report import Citizen, Report

KEY_LEAST: Final = 32
"""Characters of a key: 128 bits as hexadecimal digits. A shorter key could be found by trying."""

LENGTH: Final = 32
"""Hexadecimal digits of a pseudonym, 128 bits: no two of a billion names share one."""

BLOCK: Final = 64
_PADS: Final = (0x36, 0x5C)
"""Bytes of a block of SHA-256, and what HMAC changes the key with (RFC 2104, 2)."""


class Pseudonyms:
    """A name has the same pseudonym as long as the key stays, so a person's reports can still be counted."""

    def __init__(self, key: str) -> None:
        """HMAC-SHA256 (RFC 2104). The key is hashed once, which halves the time for a message of 26,000 names."""
        block = key.encode() if len(key.encode()) <= BLOCK else sha256(key.encode()).digest()
        self._inner, self._outer = (sha256(bytes(byte ^ pad for byte in block.ljust(BLOCK, b"\0"))) for pad in _PADS)

    def of(self, report: Report) -> Report:
        """`report` without names. Peace scores stay."""
        if not report.citizens:
            return report
        citizens = [Citizen(self.of_name(citizen.name), citizen.peace_score) for citizen in report.citizens]
        return msgspec.structs.replace(report, citizens=citizens)

    def of_name(self, name: str) -> str:
        """The pseudonym of the name as it is spelled; an empty name stays empty."""
        if not name:
            return name
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(name.encode())
        outer.update(inner.digest())
        return outer.hexdigest()[:LENGTH]
