"""A real broker with a listener for each way to be secure, and the certificates and users for it."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)

from infra.kafka import clients
from infra.kafka.address import KafkaConfig, Mechanism
from laptop import ports
from laptop.services import kafka as local
from laptop.supervision import processes

HOST: Final = "127.0.0.1"
PASSWORD: Final = "let-me-in"
DAY: Final = dt.timedelta(days=1)
NOW: Final = dt.datetime.now(dt.UTC)


class Authority:
    """Signs certificates; all lie in `folder` as PEM."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self._name, self._key = folder, name, ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        self._certificate = (
            _builder(subject, subject, self._key, NOW + 10 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def certificate(self, name: str, until: dt.datetime = NOW + 9 * DAY, host: str = HOST) -> Path:
        """A file with key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        signed = (
            _builder(_named(name), _named(self._name), key, until)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        file = self.folder / f"{name}-{host}-{until:%Y%m%d}.pem"
        file.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
            + signed.public_bytes(pem)
            + self._certificate.public_bytes(pem)
        )
        return file


@dataclass(frozen=True)
class Secured:
    """`inside` is the administrators' listener, without security; the others are by their names."""

    inside: str
    addresses: dict[str, str]
    authority: Authority
    stranger: Authority  # whom the broker does not trust

    def scram(self, user: str, password: str | Path = PASSWORD, mechanism: Mechanism = "SCRAM-SHA-512") -> KafkaConfig:
        return KafkaConfig(
            self.addresses["SASL"], "SASL_SSL", mechanism, ca=self.authority.file, user=user, password=password
        )

    def oauth(self, token: Path) -> KafkaConfig:
        return KafkaConfig(self.addresses["SASL"], "SASL_SSL", "OAUTHBEARER", ca=self.authority.file, token=token)

    def tls(self, listener: str = "MTLS", certificate: Path | None = None, ca: Path | None = None) -> KafkaConfig:
        return KafkaConfig(self.addresses[listener], "SSL", ca=ca or self.authority.file, certificate=certificate)

    def add_user(self, name: str, password: str = PASSWORD) -> None:
        """Or changes the password."""
        kinds = ("SCRAM-SHA-256", "SCRAM-SHA-512")
        with closing(clients.admin(self.inside)) as admin:
            for kind in kinds:  # one a request: the broker takes no user twice in one
                admin.alter_user_scram_credentials([UserScramCredentialUpsertion(name, kind, password)])

    def allow(self, user: str, *rules: tuple[ResourceType, str, ACLOperation]) -> None:
        self.allow_patterns(user, *((ResourcePattern(kind, name), operation) for kind, name, operation in rules))

    def allow_patterns(self, user: str, *rules: tuple[ResourcePattern, ACLOperation]) -> None:
        acls = [ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern) for pattern, operation in rules]
        with closing(clients.admin(self.inside)) as admin:
            failed = admin.create_acls(acls)["failed"]
            assert not failed, failed


def token(subject: str, lifetime: float = 3600) -> str:
    """An unsecured JSON web token, which a broker for tests takes."""
    claims = {"sub": subject, "iat": int(time.time()), "exp": int(time.time() + lifetime)}
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + "."


@contextmanager
def secured_kafka(home: Path, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[Secured]:
    """A broker that knows nobody yet but ANONYMOUS of `inside`, who may do all. `more`: settings of the broker."""
    authority, stranger = Authority(home, "authority"), Authority(home, "stranger")
    of = {
        "SASL": authority.certificate("broker"),
        "MTLS": authority.certificate("broker"),
        "EXPIRED": authority.certificate("broker", NOW - DAY),
        "ELSEWHERE": authority.certificate("broker", host="192.0.2.1"),
    }
    numbers = {name: ports.free_port() for name in (*of, "OPEN")}  # OPEN: passwords without TLS
    inside = ports.free_port()
    log = home / "kafka.log"
    command = local.prepare(home, inside, HOST, log)
    file = Path(command[-1])
    lines = [line for line in file.read_text().splitlines() if "listeners=" not in line]
    settings = dict(line.partition("=")[::2] for line in lines)
    controller = settings["controller.quorum.voters"].partition("@")[2]
    named = [("PLAINTEXT", f"{HOST}:{inside}"), *((name, f"{HOST}:{port}") for name, port in numbers.items())]
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **dict.fromkeys(of, "SSL"), "SASL": "SASL_SSL"}
    protocols["OPEN"] = "SASL_PLAINTEXT"
    settings |= {
        "listeners": ",".join(f"{name}://{at}" for name, at in [*named, ("CONTROLLER", controller)]),
        "advertised.listeners": ",".join(f"{name}://{at}" for name, at in named),
        "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
        "listener.name.mtls.ssl.client.auth": "required",
        **{
            f"listener.name.{listener}.{kind}.sasl.jaas.config": f"{_SECURITY}{text};"
            for listener in ("sasl", "open")
            for kind, text in _LOGINS.items()
        },
    }
    settings |= more
    for name, certificate in of.items():
        settings[f"listener.name.{name.lower()}.ssl.keystore.type"] = "PEM"
        settings[f"listener.name.{name.lower()}.ssl.keystore.location"] = str(certificate)
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    child = processes.start("Kafka", command, log)
    try:
        child.wait_ready(lambda: local.ready(f"{HOST}:{inside}"), local.START_SECONDS)
        addresses = {name: f"{HOST}:{port}" for name, port in numbers.items()}
        yield Secured(f"{HOST}:{inside}", addresses, authority, stranger)
    finally:
        child.kill()


_SECURITY: Final = "org.apache.kafka.common.security."
_LOGINS: Final = {
    "plain": f'plain.PlainLoginModule required user_plain="{PASSWORD}"',
    "scram-sha-256": "scram.ScramLoginModule required",
    "scram-sha-512": "scram.ScramLoginModule required",
    "oauthbearer": 'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"',
}


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 2 * DAY)
        .not_valid_after(until)
    )
