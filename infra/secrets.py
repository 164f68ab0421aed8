"""Which secrets each process needs, and secrets in files, as orchestrators provide them: the variable `NAME_FILE` names
the file of `NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fleet.errors import BadSettings
from infra.redaction import hide

S3_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""The variables of the keys of a lake on S3."""

IDS: Final = frozenset({"AWS_ACCESS_KEY_ID"})
"""Those of S3_KEYS that are names, not secrets: hidden, a name such as `peacewatch` would be missing in every line."""

_KAFKA: Final = ("kafka_password", "kafka_token")
SECRETS_OF: Final[Mapping[str, frozenset[str]]] = {
    "land": frozenset({*_KAFKA, *S3_KEYS, "mongo_uri", "pseudonym_key"}),
    "alerting": frozenset(_KAFKA),
    "notify": frozenset({*_KAFKA, "discord_webhook_url", "severe_webhook_url"}),
    # Where the operators have no webhook, that of the alerts decides whether the stand-in takes their messages.
    "record": frozenset({*_KAFKA, "mongo_uri", "operators_webhook_url", "discord_webhook_url"}),
    "serve": frozenset({*_KAFKA, *S3_KEYS, "mongo_uri", "api_tokens", "oidc_client_secret"}),
    "discord-standin": frozenset(),
    # Tasks run in the scheduler: aggregate, report and the lake's commands, and word to the operators.
    "airflow-scheduler": frozenset(
        {*_KAFKA, *S3_KEYS, "mongo_uri", "discord_webhook_url", "reports_webhook_url", "operators_webhook_url"}
    ),
    # It notifies the operators of a task whose process is gone.
    "airflow-dag-processor": frozenset({"operators_webhook_url", "discord_webhook_url"}),
    "airflow-api-server": frozenset(),
    "airflow-triggerer": frozenset(),
    "airflow-setup": frozenset(),
}
"""Names of settings, and of the variables of S3's keys, by command or process."""


def secret(environ: Mapping[str, str], name: str) -> str | None:
    """The text of the file for `name`; None: `environ` names none. Raises as `text_of` does."""
    path = environ.get(f"{name}_FILE")
    return text_of(Path(path), f"{name}_FILE") if path else None


def text_of(path: Path, variable: str) -> str:
    """The secret in a file that `variable` names, which logs hide from now on. Raises BadSettings, which shows nothing
    of it.

    An empty file is refused: without a secret some processes would run open, or with a local service.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise BadSettings(f"{variable}: {error.strerror}: {path}") from None
    except ValueError:  # its text would show some of the secret
        raise BadSettings(f"{variable}: not UTF-8 text: {path}") from None
    if not text:
        raise BadSettings(f"{variable}: is empty: {path}")
    if variable.removesuffix("_FILE") not in IDS:
        hide(text, source=variable)
    return text
