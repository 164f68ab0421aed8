"""Whom a message would mention, by its content and its `allowed_mentions`. Text in an embed mentions nobody.

Source: https://docs.discord.com/developers/resources/message#allowed-mentions-object
"""

from __future__ import annotations

import re
from typing import Any, Final

from laptop.discord_standin import limits
from laptop.discord_standin.form import Form

KINDS: Final = ("roles", "users", "everyone")
PATH: Final = ("allowed_mentions",)
_USER: Final = re.compile(r"<@!?(\d+)>")
_ROLE: Final = re.compile(r"<@&(\d+)>")
_EVERYONE: Final = re.compile(r"@(everyone|here)\b")


def read_allowed(form: Form, value: Any) -> dict[str, Any] | None:
    """The form's `allowed_mentions`; None if it has none, which allows all mentions."""
    record = form.record(value, PATH)
    if record is None:
        return None
    allowed: dict[str, Any] = {
        kind: form.items(record.get(kind), (*PATH, kind), limits.MENTIONED) for kind in KINDS[:2]
    }
    allowed["parse"] = form.items(record.get("parse"), (*PATH, "parse"), len(KINDS))
    for number, kind in enumerate(allowed["parse"]):
        if kind not in KINDS:
            form.refuse((*PATH, "parse", number), "BASE_TYPE_CHOICES", f"Value must be one of {KINDS}.")
    for kind in KINDS[:2]:
        if allowed[kind] and kind in allowed["parse"]:
            text = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
            form.refuse(PATH, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", text)
        for number, snowflake in enumerate(allowed[kind]):
            if not str(snowflake).isdigit():
                text = f'Value "{snowflake}" is not snowflake.'
                form.refuse((*PATH, kind, number), "NUMBER_TYPE_COERCE", text)
    return allowed


def mentioned(content: str, allowed: dict[str, Any] | None) -> dict[str, Any]:
    """{everyone: bool, users: [id], roles: [id]} that the message mentions."""
    users, roles = dict.fromkeys(_USER.findall(content)), dict.fromkeys(_ROLE.findall(content))
    everyone = bool(_EVERYONE.search(content))
    if allowed is not None:
        parse = allowed["parse"]
        users = {u: None for u in users if "users" in parse or u in map(str, allowed["users"])}
        roles = {r: None for r in roles if "roles" in parse or r in map(str, allowed["roles"])}
        everyone = everyone and "everyone" in parse
    return {"everyone": everyone, "users": list(users), "roles": list(roles)}
