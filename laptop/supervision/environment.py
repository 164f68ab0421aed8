"""The environment that a child inherits: of the secrets, only those that it needs.

Third-party programs (Kafka, mongod) get the few variables that any program needs. Our own commands get everything but
secrets that they do not use, so that a compromised process cannot reveal secrets of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from infra import s3
from infra.settings import PREFIX, SECRETS

_SYSTEM: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "LD_LIBRARY_PATH", "GLIBC_TUNABLES"),
    }
)
_KAFKA: Final = ("kafka_password", "kafka_token")
_LAKE: Final = s3.KEYS

SECRETS_OF: Final[Mapping[str, frozenset[str]]] = {
    "land": frozenset({*_KAFKA, *_LAKE, "mongo_uri"}),
    "alerting": frozenset(_KAFKA),
    "notify": frozenset({*_KAFKA, "discord_webhook_url", "severe_webhook_url"}),
    # Where the operators have no webhook, that of the alerts decides whether the stand-in takes their messages.
    "record": frozenset({*_KAFKA, "mongo_uri", "operators_webhook_url", "discord_webhook_url"}),
    "serve": frozenset({*_KAFKA, *_LAKE, "mongo_uri", "api_tokens"}),
    "discord-standin": frozenset(),
    # Tasks run in the scheduler: aggregate, report and the lake's commands, and word to the operators.
    "airflow-scheduler": frozenset(
        {*_KAFKA, *_LAKE, "mongo_uri", "discord_webhook_url", "reports_webhook_url", "operators_webhook_url"}
    ),
    # It notifies the operators of a task whose process is gone.
    "airflow-dag-processor": frozenset({"operators_webhook_url", "discord_webhook_url"}),
    "airflow-api-server": frozenset(),
    "airflow-triggerer": frozenset(),
    "airflow-setup": frozenset(),
}
"""Names of settings, and of the variables of S3's keys, by command or process."""


def of_others(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program that is not ours gets of `environ`."""
    return {name: value for name, value in environ.items() if name in _SYSTEM or name.startswith("LC_")}


def of_ours(environ: Mapping[str, str], secrets: Collection[str]) -> dict[str, str]:
    """`environ` without the secrets that are not among `secrets`, which are named as in SECRETS_OF."""
    withheld = {_variable(name) for name in (*SECRETS, *s3.KEYS) if name not in secrets}
    return {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in withheld}


def _variable(name: str) -> str:
    return name if name in s3.KEYS else f"{PREFIX}{name.upper()}"
