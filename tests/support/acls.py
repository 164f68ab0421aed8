"""The ACLs that docs/kafka-security.md lists, read from its table, so that a test grants exactly these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kafka.admin import ACLOperation, ACLResourcePatternType, ResourcePattern, ResourceType

PAGE: Final = Path(__file__).parents[2] / "docs/kafka-security.md"
PREFIX: Final = "names that begin with "
KINDS: Final = (ResourceType.TOPIC, ResourceType.GROUP)


@dataclass(frozen=True)
class Rule:
    """One operation on a topic or a group, or on those whose names begin so."""

    kind: ResourceType
    name: str
    operation: ACLOperation
    is_prefix: bool = False

    @property
    def grant(self) -> tuple[ResourcePattern, ACLOperation]:
        pattern = ACLResourcePatternType.PREFIXED if self.is_prefix else ACLResourcePatternType.LITERAL
        return ResourcePattern(self.kind, self.name, pattern), self.operation

    def __str__(self) -> str:
        return f"{self.operation.name} of {self.kind.name.lower()} {self.name}"


def listed() -> dict[str, list[Rule]]:
    """By command: `land`, `alerting` …"""
    rules: dict[str, list[Rule]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `peacewatch "):
            commands, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            found = [rule for kind, cell in zip(KINDS, cells, strict=True) for rule in _rules(kind, cell)]
            for command in re.findall(r"`(?:peacewatch )?([\w-]+)`", commands):
                rules[command] = found
    return rules


def _rules(kind: ResourceType, cell: str) -> list[Rule]:
    rules = []
    for part in filter(None, (part.strip() for part in cell.split(";"))):
        names, _, operations = part.rpartition(":")
        for name in re.findall(r"`([^`]+)`", names) or ["*"]:
            for operation in operations.split(","):
                rules.append(Rule(kind, name, ACLOperation[operation.strip()], names.startswith(PREFIX)))
    return rules
