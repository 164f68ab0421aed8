"""Why Kafka refuses a connection or a request, as one sentence that names the setting or the ACL."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from typing import Any, Final

from kafka.errors import (
    AuthorizationError,
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidConfigurationError,
    InvalidRecordError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from fleet.errors import BadSettings
from fleet.text import sentence as one_line

PERMANENT: Final = (
    *(MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError, PolicyViolationError),
    *(InvalidConfigurationError,),
)
"""Errors that every attempt would repeat: their cause is the message, not the broker's state."""


class KafkaRefused(KafkaError):  # type: ignore[misc]
    """The broker answers but refuses us, or we do not trust it. The text is a sentence for people."""

    def __str__(self) -> str:
        return str(self.args[0])


_TLS: Final = (
    # part of OpenSSL's text, and its meaning
    ("certificate has expired", "the broker's certificate has expired"),
    ("certificate is not yet valid", "the broker's certificate is not valid yet: look at the clocks"),
    ("Hostname mismatch", "the broker's certificate is for another host name (PEACEWATCH_KAFKA_CHECK_HOSTNAME)"),
    ("IP address mismatch", "the broker's certificate is for another address (PEACEWATCH_KAFKA_CHECK_HOSTNAME)"),
    ("self-signed certificate", "no authority that we trust signed the broker's certificate (PEACEWATCH_KAFKA_CA)"),
    ("unable to get", "no authority that we trust signed the broker's certificate (PEACEWATCH_KAFKA_CA)"),
    ("alert certificate expired", "our certificate has expired (PEACEWATCH_KAFKA_CERTIFICATE)"),
    ("alert certificate required", "the broker asks for a client certificate (PEACEWATCH_KAFKA_CERTIFICATE)"),
    ("alert bad certificate", "the broker does not accept our certificate (PEACEWATCH_KAFKA_CERTIFICATE)"),
    ("alert certificate unknown", "the broker does not accept our certificate (PEACEWATCH_KAFKA_CERTIFICATE)"),
    ("alert unknown ca", "the broker does not trust who signed our certificate (PEACEWATCH_KAFKA_CERTIFICATE)"),
    ("wrong version number", "the broker's listener speaks no TLS (PEACEWATCH_KAFKA_SECURITY_PROTOCOL)"),
    ("record layer failure", "the broker's listener speaks no TLS (PEACEWATCH_KAFKA_SECURITY_PROTOCOL)"),
)

_ACLS: Final[tuple[tuple[type[KafkaError], str], ...]] = (
    (TopicAuthorizationFailedError, "the topic"),
    (GroupAuthorizationFailedError, "the consumer group"),
    (TransactionalIdAuthorizationFailedError, "the transactional id"),
    (ClusterAuthorizationFailedError, "the cluster"),
)


_NO_COORDINATOR: Final = re.compile(r"FindCoordinatorResponse error for \w+/(?P<name>\S+?):(?: |$)")
"""What kafka-python says of a group that it may not describe; elsewhere it says the group's name alone."""


def refusal(error: BaseException | None) -> KafkaRefused | None:
    """The refusal, if `error` or its cause is one; None for anything else, such as a network failure."""
    while error is not None:
        if isinstance(error, KafkaRefused):
            return error
        for kind, words in _REFUSALS:
            if isinstance(error, kind):
                return KafkaRefused(words(error))
        wrapped = next((part for part in error.args if isinstance(part, BaseException)), None)  # kafka-python's way
        error = error.__cause__ or error.__context__ or wrapped
    return None


def sentence(error: Exception) -> str:
    """`error` as one line: a refusal by its meaning, anything else by its own text."""
    refused = refusal(error)
    return str(refused) if refused is not None else one_line(error)


def _missing_acl(error: Any) -> str:
    what = next((noun for kind, noun in _ACLS if isinstance(error, kind)), "this")
    return f"Kafka's ACLs do not let us use {what}: {_detail(error)} (docs/kafka-security.md lists them)"


def _detail(error: KafkaError) -> str:
    said = error.args[0] if error.args else ""
    if isinstance(said, set | frozenset | list | tuple):
        said = ", ".join(sorted(map(str, said)))
    prefix = f"[Error {error.errno}] " if isinstance(error, BrokerResponseError) else ""
    text = one_line(Exception(str(said).removeprefix(prefix)))
    of_coordinator = _NO_COORDINATOR.search(text)
    return of_coordinator["name"] if of_coordinator else text or type(error).__name__


def _mechanism(error: Any) -> str:
    return f"Kafka does not take this mechanism (PEACEWATCH_KAFKA_SASL_MECHANISM): {_detail(error)}"


def _login(error: Any) -> str:
    settings = "PEACEWATCH_KAFKA_USER, PEACEWATCH_KAFKA_PASSWORD or PEACEWATCH_KAFKA_TOKEN"
    return f"Kafka refuses our name or secret ({settings}): {_detail(error)}"


def _tls(error: Any) -> str:
    text = str(error).replace("_", " ").lower()
    meaning = next((meaning for part, meaning in _TLS if part.lower() in text), one_line(error))
    return f"TLS to Kafka failed: {meaning}"


_REFUSALS: Final[tuple[tuple[type[Exception], Callable[[Any], str]], ...]] = (
    (BadSettings, str),  # a secret's file that is gone
    (UnsupportedSaslMechanismError, _mechanism),
    (SaslAuthenticationFailedError, _login),
    (AuthorizationError, _missing_acl),
    (ssl.SSLError, _tls),
)
