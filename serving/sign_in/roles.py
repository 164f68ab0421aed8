"""A person's role and name, from the claims of their token. Pure."""

from __future__ import annotations

import re
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
    """The claim `path`: by its whole name, or a path by dots. A name may contain dots itself, at any level, as
    `https://x.example/roles` or a client's in `resource_access.my.client.roles`."""
    if path in claims:
        return claims[path]
    for place in (each.start() for each in re.finditer(r"\.", path)):
        inner = claims.get(path[:place])
        if isinstance(inner, Mapping) and (found := claim(inner, path[place + 1 :])) is not None:
            return found
    return None


def _one_line(text: str) -> str:
    """At most LONGEST_NAME printable characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:LONGEST_NAME]


def _names(value: Any) -> Iterable[str]:
    """The names of a claim: a list, or one text: a name, or several with spaces between them as in `scope`."""
    if isinstance(value, str):
        return [value, *value.split()]
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
