"""A connection's security as kafka-python takes it. Secrets and certificates are read when a connection is made."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from kafka.net.sasl import register_sasl_mechanism
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.net.sasl.plain import SaslMechanismPlain
from kafka.net.sasl.scram import SaslMechanismScram

from infra.kafka.address import KafkaConfig
from infra.secrets import text_of


def client_settings(config: KafkaConfig) -> dict[str, Any]:
    """What kafka-python's clients take. Holds no secret, only what reads it when a connection is made."""
    settings: dict[str, Any] = {
        "bootstrap_servers": [each.strip() for each in config.bootstrap.split(",")],
        "security_protocol": config.security_protocol,
    }
    if config.uses_tls:
        settings["ssl_context"] = _Context(config)
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
        return self._held if isinstance(self._held, str) else text_of(self._held, self._variable)


class _Context:
    """Stands for an SSLContext, which is built for each connection, because certificates are replaced, too."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config

    def wrap_socket(self, sock: socket.socket, **settings: Any) -> ssl.SSLSocket:
        return self._config.tls().wrap_socket(sock, **settings)


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
        name = settings["sasl_plain_username"].replace("=", "=3D").replace(",", "=2C")  # RFC 5802, 5.1
        super().__init__(**_with_password(settings | {"sasl_plain_username": name}))


def _with_password(settings: dict[str, Any]) -> dict[str, Any]:
    held = settings["sasl_plain_password"]
    return {**settings, "sasl_plain_password": held.read() if isinstance(held, _Secret) else held}


register_sasl_mechanism("PLAIN", _Plain, overwrite=True)
register_sasl_mechanism("SCRAM-SHA-256", _Scram, overwrite=True)
register_sasl_mechanism("SCRAM-SHA-512", _Scram, overwrite=True)
