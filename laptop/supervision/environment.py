"""The environment that a child inherits: of the secrets, only those that it needs.

Third-party programs (Kafka, mongod) get the few variables that any program needs. Our own commands get everything but
secrets that they do not use, so that a compromised process cannot reveal secrets of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from infra.secrets import S3_KEYS
from infra.settings import PREFIX, SECRETS

_SYSTEM: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "LD_LIBRARY_PATH", "GLIBC_TUNABLES"),
    }
)


def of_others(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program that is not ours gets of `environ`."""
    return {name: value for name, value in environ.items() if name in _SYSTEM or name.startswith("LC_")}


def of_ours(environ: Mapping[str, str], secrets: Collection[str]) -> dict[str, str]:
    """`environ` without the secrets that are not among `secrets`, which are named as in infra.secrets.SECRETS_OF."""
    withheld = {_variable(name) for name in (*SECRETS, *S3_KEYS) if name not in secrets}
    return {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in withheld}


def _variable(name: str) -> str:
    return name if name in S3_KEYS else f"{PREFIX}{name.upper()}"
