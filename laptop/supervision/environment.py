"""The environment that a child inherits, with only the secrets that it needs.

Third-party programs (Kafka, mongod) get the few variables that any program needs. Our own commands get everything
except the secrets that they do not use, so that a compromised process cannot reveal the secrets of others.
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


def for_third_party(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of `environ` that a third-party program gets."""
    return {name: value for name, value in environ.items() if name in _SYSTEM or name.startswith("LC_")}


def for_own_command(environ: Mapping[str, str], secrets: Collection[str]) -> dict[str, str]:
    """`environ` without secrets other than `secrets`, which are named as in infra.secrets.SECRETS_OF."""
    withheld = {_variable(name) for name in (*SECRETS, *S3_KEYS) if name not in secrets}
    return {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in withheld}


def _variable(name: str) -> str:
    return name if name in S3_KEYS else f"{PREFIX}{name.upper()}"
