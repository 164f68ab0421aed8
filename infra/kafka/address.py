"""Which Kafka a client connects to, and how it authenticates: the frozen value that every client is made from.

infra/settings.py has the settings that fill it.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from fleet.errors import BadSettings
from infra import tls

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
"""The mechanisms that kafka-python 3.0.12 has without a library of the system."""

_PASSWORD_MECHANISMS: Final = tuple(name for name in get_args(Mechanism) if name != "OAUTHBEARER")

_BROKER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):\d{1,5}", re.ASCII)
_FILES: Final = tls.Names("PEACEWATCH_KAFKA_CA", "PEACEWATCH_KAFKA_CERTIFICATE", "PEACEWATCH_KAFKA_KEY")


@dataclass(frozen=True)
class KafkaConfig:
    """The fields are those of the settings `PEACEWATCH_KAFKA_*`.

    A secret is a text, or a file that holds it: the file is read again at each connection, so it may be replaced while
    the process runs. Raises BadSettings if fields contradict each other, or if a file cannot be used.
    """

    bootstrap: str  # host:port[,host:port]
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: Mechanism | None = None
    ca: Path | None = None  # PEM; None: the authorities of the system
    certificate: Path | None = None  # PEM, the client's own, with its chain: mutual TLS
    key: Path | None = None  # PEM; None: it is in `certificate`
    check_hostname: bool = True
    user: str | None = None
    password: str | Path | None = field(default=None, repr=False)
    token: str | Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, wrong in self._contradictions():
            raise BadSettings(f"PEACEWATCH_KAFKA_{name}: {wrong}")
        if self.uses_tls:
            self.tls()

    def tls(self) -> ssl.SSLContext:
        """The context of a connection, by its files as they are now. Raises BadSettings for one that is wrong."""
        context = tls.context(_FILES, self.ca, self.certificate, self.key)
        context.check_hostname = self.check_hostname
        return context

    @property
    def brokers(self) -> list[tuple[str, int]]:
        """Host and port of each broker of `bootstrap`; an address of IPv6 without its brackets."""
        named = (each.strip().rpartition(":") for each in self.bootstrap.split(","))
        return [(host.strip("[]"), int(port)) for host, _, port in named]

    @property
    def uses_tls(self) -> bool:
        return self.security_protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL")

    def _contradictions(self) -> list[tuple[str, str]]:
        wrong = [
            ("BOOTSTRAP", f"{each.strip()!r} is not host:port")
            for each in self.bootstrap.split(",")
            if not _BROKER.fullmatch(each.strip())
        ]
        if self.uses_sasl and self.sasl_mechanism is None:
            wrong.append(("SASL_MECHANISM", f"needed for {self.security_protocol}"))
        if self.uses_sasl and self.sasl_mechanism in _PASSWORD_MECHANISMS:
            wrong += [("USER", f"needed for {self.sasl_mechanism}")] if not self.user else []
            wrong += [("PASSWORD", f"needed for {self.sasl_mechanism}")] if not self.password else []
        if self.uses_sasl and self.sasl_mechanism == "OAUTHBEARER" and not self.token:
            wrong.append(("TOKEN", "needed for OAUTHBEARER"))
        if not self.uses_sasl and (self.sasl_mechanism or self.user or self.password or self.token):
            wrong.append(("SECURITY_PROTOCOL", f"{self.security_protocol} takes no user, password or token"))
        if not self.uses_tls and (self.ca or self.certificate or self.key):
            wrong.append(("SECURITY_PROTOCOL", f"{self.security_protocol} takes no certificates"))
        if self.key and not self.certificate:
            wrong.append(("CERTIFICATE", "needed with PEACEWATCH_KAFKA_KEY"))
        return wrong


Address = KafkaConfig | str
"""A text is the bootstrap address of a Kafka without security, such as the local one."""


def config(address: Address) -> KafkaConfig:
    """`address` as a KafkaConfig."""
    return KafkaConfig(address) if isinstance(address, str) else address


def shown(address: Address) -> str:
    """The address without secrets, for people."""
    return config(address).bootstrap
