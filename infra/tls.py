"""A TLS context by files. What is wrong with one of them is a sentence that names the setting."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import BadSettings


@dataclass(frozen=True)
class Names:
    """What the settings of the files are called; `key` as `certificate` where one file has both."""

    ca: str
    certificate: str
    key: str


def context(
    names: Names,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    password: str | None = None,
) -> ssl.SSLContext:
    """Reads the files. `ca`: None for the authorities of the system; `key`: None if it is in `certificate`.

    Raises BadSettings for a file that cannot be read or used.
    """
    for name, path in ((names.ca, ca), (names.certificate, certificate), (names.key, key)):
        if path is not None:
            _require_readable(name, path)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is None:
        made.load_default_certs()
    else:
        try:
            made.load_verify_locations(ca)
        except ssl.SSLError:
            raise BadSettings(f"{names.ca}: no certificate (PEM) in {ca}") from None
    if certificate is not None:
        _load(made, names, certificate, key, password)
    return made


def _load(made: ssl.SSLContext, names: Names, certificate: Path, key: Path | None, password: str | None) -> None:
    name, holder = (names.certificate, certificate) if key is None else (names.key, key)

    def unlocked() -> str:
        if password is None:
            remedy = "give one without (`openssl pkey -in KEY -out NEW`)"
            raise BadSettings(f"{name}: the key in {holder} has a password; {remedy}")
        return password

    try:
        made.load_cert_chain(certificate, key, unlocked)  # without it, OpenSSL asks at the terminal, and waits
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            wrong = f"the key in {holder} is not that of the certificate in {certificate}"
        elif key is None:
            wrong = f"no certificate with its key (PEM) in {certificate}"
        else:
            wrong = f"no key (PEM) in {key}, or no certificate (PEM) in {certificate}"
        raise BadSettings(f"{name}: {wrong}{', or its password is wrong' if password else ''}") from None


def _require_readable(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise BadSettings(f"{name}: {error.strerror}: {path}") from None
