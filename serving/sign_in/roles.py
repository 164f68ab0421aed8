"""A person's role and name, from the claims of their token. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from serving.config import ROLES, Oidc, Role

LONGEST_NAME: Final = 80
"""Characters of a name, as in the body of an action."""


def parse_roles(text: str) -> dict[str, Role]:
    """`theirs=role[,theirs=role]` as a mapping from the provider's names to roles. Raises ValueError."""
    roles: dict[str, Role] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, role = (part.strip() for part in entry.rpartition("="))
        if not name or role not in ROLES:
            raise ValueError(f"each entry is name=role, and a role is {', '.join(ROLES[:-1])} or {ROLES[-1]}")
        roles[name] = role
    if not roles:
        raise ValueError("it names no role")
    return roles


def role_of(oidc: Oidc, claims: Mapping[str, Any]) -> Role | None:
    """The highest role that the claims give; None if they give none."""
    given = {oidc.roles[name] for name in _names(claim(claims, oidc.roles_claim)) if name in oidc.roles}
    return max(given, key=ROLES.index, default=None)


def name_of(oidc: Oidc, claims: Mapping[str, Any]) -> str:
    """The name that others see with the person's actions: the claim in the settings, or the subject."""
    name = claims.get(oidc.name_claim)
    return (_one_line(name) if isinstance(name, str) else "") or _one_line(str(claims["sub"]))


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim `path`: by its whole name, which may contain dots (`https://x.example/roles`), or a path by dots."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _one_line(text: str) -> str:
    """At most LONGEST_NAME printable characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:LONGEST_NAME]


def _names(value: Any) -> Iterable[str]:
    """The names of a claim: a list, or one text with spaces between them as in `scope`."""
    if isinstance(value, str):
        return value.split()
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
