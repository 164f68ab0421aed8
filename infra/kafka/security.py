"""A connection's security as kafka-python takes it. Secrets are read when a connection is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kafka.net.sasl import register_sasl_mechanism
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.net.sasl.plain import SaslMechanismPlain
from kafka.net.sasl.scram import SaslMechanismScram

from fleet.errors import BadSettings
from infra.kafka.address import KafkaConfig


def client_settings(config: KafkaConfig) -> dict[str, Any]:
    """What kafka-python's clients take. Holds no secret, only what reads it when a connection is made."""
    settings: dict[str, Any] = {
        "bootstrap_servers": config.bootstrap.split(","),
        "security_protocol": config.security_protocol,
    }
    if config.uses_tls:
        settings |= {
            "ssl_check_hostname": config.check_hostname,
            "ssl_cafile": _text(config.ca),
            "ssl_certfile": _text(config.certificate),
            "ssl_keyfile": _text(config.key),
        }
    if config.uses_sasl:
        settings["sasl_mechanism"] = config.sasl_mechanism
        if config.token is not None:
            settings["sasl_oauth_token_provider"] = _Token(_Secret(config.token, "PEACEWATCH_KAFKA_TOKEN_FILE"))
        if config.password is not None:
            settings["sasl_plain_username"] = config.user
            settings["sasl_plain_password"] = _Secret(config.password, "PEACEWATCH_KAFKA_PASSWORD_FILE")
    return settings


class _Secret:
    """Reads a secret when it is needed; its repr, which may reach a log with a client's settings, shows nothing."""

    def __init__(self, held: str | Path, variable: str) -> None:
        self._held, self._variable = held, variable

    def __repr__(self) -> str:
        return "<secret>"

    def read(self) -> str:
        if isinstance(self._held, str):
            return self._held
        try:
            return self._held.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadSettings(f"{self._variable}: {error.strerror}: {self._held}") from None
        except ValueError:  # its text would show some of the secret
            raise BadSettings(f"{self._variable}: not UTF-8 text: {self._held}") from None


class _Token(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, secret: _Secret) -> None:
        super().__init__()
        self._secret = secret

    def token(self) -> str:
        return self._secret.read()


class _Plain(SaslMechanismPlain):  # type: ignore[misc]
    def __init__(self, **settings: Any) -> None:
        super().__init__(**_with_password(settings))


class _Scram(SaslMechanismScram):  # type: ignore[misc]
    def __init__(self, **settings: Any) -> None:
        super().__init__(**_with_password(settings))


def _with_password(settings: dict[str, Any]) -> dict[str, Any]:
    held = settings["sasl_plain_password"]
    return {**settings, "sasl_plain_password": held.read() if isinstance(held, _Secret) else held}


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


register_sasl_mechanism("PLAIN", _Plain, overwrite=True)
register_sasl_mechanism("SCRAM-SHA-256", _Scram, overwrite=True)
register_sasl_mechanism("SCRAM-SHA-512", _Scram, overwrite=True)
