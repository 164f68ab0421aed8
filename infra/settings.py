"""Settings: one frozen object, built once at the start of a process from `PEACEWATCH_*` variables.

Every secret may also come from a file: `PEACEWATCH_MONGO_URI_FILE` names a file that holds `PEACEWATCH_MONGO_URI`.
Layers never read settings; the command passes each what it needs.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fleet.errors import BadInput, BadSettings
from fleet.reports.pseudonyms import KEY_LEAST
from infra import locations, logs
from infra.kafka.address import KafkaConfig, Mechanism, SecurityProtocol
from infra.redaction import hide
from infra.secrets import IDS, S3_KEYS, secret
from infra.time_zones import whole_hour_zone

PREFIX: Final = "PEACEWATCH_"
SECRETS: Final = (
    *("mongo_uri", "airflow_database", "discord_webhook_url", "severe_webhook_url", "operators_webhook_url"),
    *("reports_webhook_url", "api_tokens", "oidc_client_secret", "kafka_password", "kafka_token", "pseudonym_key"),
)

PROTECTING: Final = ("api_tokens", "pseudonym_key")
"""Secrets without which something is open: who can read, and what citizens are called. A variable that is set and
empty, as `${KEY}` of a shell that does not know KEY, is refused: elsewhere it counts as unset."""

MOST_DAYS: Final = 36_500
"""A century, for every number of days, hours or seconds in a setting or an option: a date so long before today exists
(Python's begin with year 1), and nobody means more."""

MOST_SECONDS: Final = MOST_DAYS * 86_400


class Settings(BaseSettings):
    """What runs where. The defaults are for a laptop."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        str_strip_whitespace=True,  # `echo secret | base64` in an orchestrator's secret adds a line break
    )

    kafka_bootstrap: str | None = Field(
        None, description="Kafka to use, host:port[,host:port]; unset: a local one is started"
    )
    kafka_security_protocol: SecurityProtocol = Field(
        "PLAINTEXT", description="how to connect to Kafka: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_mechanism: Mechanism | None = Field(
        None, description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; needed with SASL"
    )
    kafka_ca: Path | None = Field(
        None, description="file of the authorities that sign Kafka's certificates (PEM); unset: those of the system"
    )
    kafka_certificate: Path | None = Field(None, description="file of our certificate for Kafka (PEM): mutual TLS")
    kafka_key: Path | None = Field(
        None, description="file of that certificate's key (PEM); unset: it is in the certificate's file"
    )
    kafka_check_hostname: bool = Field(True, description="false: Kafka's certificate may be for another host name")
    kafka_user: str | None = Field(None, description="user of Kafka, for PLAIN and SCRAM")
    kafka_password: SecretStr | None = Field(
        None, description="that user's password; its file is read again at each connection"
    )
    kafka_token: SecretStr | None = Field(
        None, description="token for OAUTHBEARER; its file is read again at each connection"
    )
    kafka_password_file: Path | None = Field(None, description="file that holds the password")
    kafka_token_file: Path | None = Field(None, description="file that holds the token")
    lake: str | None = Field(
        None, description="where the lake is: a folder or s3://bucket/path; unset: lake/ in PEACEWATCH_HOME"
    )
    mongo_uri: SecretStr | None = Field(
        None, description="MongoDB to use, with the database; unset: a local one is started"
    )
    spark_master: str = Field("local[2]", description="Spark master that batch jobs run on")
    discord_webhook_url: SecretStr | None = Field(
        None, description="Discord webhook for alerts; unset: a local stand-in"
    )

    severe_webhook_url: SecretStr | None = Field(
        None, description="Discord webhook for critical incidents; unset: the one for alerts"
    )
    operators_webhook_url: SecretStr | None = Field(
        None, description="Discord webhook for problems of Peacewatch itself"
    )
    reports_webhook_url: SecretStr | None = Field(
        None, description="Discord webhook for the nightly report's summary; unset: the one for alerts"
    )
    api_tokens: SecretStr | None = Field(
        None,
        description="API tokens, made by `peacewatch token`: token:role[,token:role], where a role is viewer, operator "
        "or admin; their file is read again when it changes",
    )
    api_open: Literal["figures", "nothing"] = Field(
        "nothing",
        description="what the API answers without a token once tokens or single sign-on are set: nothing, or figures "
        "(never names, words and single reports)",
    )
    oidc_issuer: str | None = Field(
        None, description="address of the OpenID Connect provider where people sign in; unset: no single sign-on"
    )
    oidc_client_id: str = Field("peacewatch", min_length=1, description="id of this client at the provider")
    oidc_client_secret: SecretStr | None = Field(None, description="secret of this client at the provider")
    oidc_roles_claim: str = Field(
        "roles",
        min_length=1,
        description="claim of the ID token that holds a person's roles; dots lead into objects: realm_access.roles",
    )
    oidc_roles: str | None = Field(
        None,
        description="which roles the provider's roles are here: theirs=role[,theirs=role], where a role is viewer, "
        "operator or admin; unset: they have the same names",
    )
    oidc_name_claim: str = Field(
        "preferred_username",
        min_length=1,
        description="claim of the ID token with the name shown with a person's actions",
    )
    api_rate_limit: str = Field(
        "600 per second",
        pattern=r"^[1-9]\d* per (second|minute|hour)$",
        description="how many requests the API accepts from one token or address",
    )

    retention_days: int | None = Field(
        None,
        ge=1,
        le=MOST_DAYS,
        description="whole days before today whose raw reports are kept; older days are sealed; unset: all",
    )
    spark_jars: str | None = Field(
        None, description="jars for Spark jobs, comma-separated; unset: those that read S3, if the lake is on S3"
    )
    comet: str = Field(
        "auto",
        description="native engine of Spark jobs: auto (set-up's jar), off (plain Spark), or the path of its jar",
    )
    drone_register: Path | None = Field(
        None, description="file of the drones in service (CSV: drone_id, from, until); unset: those seen in 7 days"
    )
    pseudonym_key: SecretStr | None = Field(
        None,
        description="key of the hash that replaces citizens' names in the lake, at least 32 characters; "
        "unset: names are stored",
    )

    rules: Path | None = Field(None, description="file of the rules that raise alerts (TOML); unset: the shipped one")
    stations: Path | None = Field(None, description="file of charging stations (CSV); unset: the shipped one")
    incident_update_seconds: float = Field(
        5, gt=0, le=MOST_SECONDS, description="shortest time between edits of a message, in seconds"
    )
    incident_quiet_seconds: float = Field(
        300, gt=0, le=MOST_SECONDS, description="seconds without an alert after which an incident is quiet"
    )
    incident_resolve_seconds: float = Field(
        1800, gt=0, le=MOST_SECONDS, description="seconds of quiet after which an incident is resolved"
    )
    incident_repeat_seconds: float = Field(
        14400, gt=0, le=MOST_SECONDS, description="seconds after which an unacknowledged incident is notified again"
    )

    alert_metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="earlier name of PEACEWATCH_OPERATIONS_PORT, for `peacewatch record` only",
    )

    operations_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="port where a long-running process serves /metrics, /healthz and /readyz; unset: none",
    )
    operations_host: str = Field("127.0.0.1", description="address that the operations port binds to")

    log_format: logs.Format = Field(
        "logfmt", description="format of log lines: logfmt (key=value) or json (one object a line)"
    )

    home: Path = Field(Path("var"), description="folder of local data and logs")
    host: str = Field("127.0.0.1", description="address that local services bind to")
    kafka_port: int = Field(19092, ge=1, le=65535, description="port of the local Kafka")
    mongo_port: int = Field(17017, ge=1, le=65535, description="port of the local MongoDB")
    web_host: str = Field(
        "127.0.0.1",
        description="address that the pages and the REST API bind to; one that is not loopback needs tokens or single "
        "sign-on",
    )
    web_hosts: str | None = Field(
        None,
        description="host names that requests may use, comma-separated, in addition to localhost, IP addresses and "
        "that of the public URL",
    )
    web_proxies: str | None = Field(
        None, description="addresses of reverse proxies, comma-separated, whose X-Forwarded-For is trusted"
    )
    web_port: int = Field(18000, ge=1, le=65535, description="port of the pages and the REST API")
    airflow_port: int = Field(18080, ge=1, le=65535, description="port of the Airflow UI")
    airflow_database: SecretStr | None = Field(
        None, description="database of Airflow, postgresql://user@host/db; unset: SQLite in PEACEWATCH_HOME"
    )
    airflow_paused: bool = Field(False, description="true: new DAGs start paused")
    discord_port: int = Field(18900, ge=1, le=65535, description="port of the Discord stand-in")
    timezone: str = Field(
        "UTC", description="the officers' time zone, whole hours from UTC, for the days of nightly reports"
    )
    landing_metrics_port: int | None = Field(
        None, ge=1, le=65535, description="earlier name of PEACEWATCH_OPERATIONS_PORT, for `peacewatch land` only"
    )
    public_url: str | None = Field(None, description="address at which people reach the pages, for links in messages")

    @field_validator("discord_webhook_url", "severe_webhook_url", "operators_webhook_url", "reports_webhook_url")
    @classmethod
    def _encrypted(cls, url: SecretStr | None) -> SecretStr | None:
        """A webhook's URL is its password: it must not cross a network unencrypted."""
        if url is not None:
            _require_encrypted(url.get_secret_value())
        return url

    @field_validator("pseudonym_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < KEY_LEAST:
            raise ValueError(f"a key has at least {KEY_LEAST} characters; openssl rand -hex 32 makes one")
        return key

    @field_validator("oidc_issuer")
    @classmethod
    def _safe_issuer(cls, url: str | None) -> str | None:
        """The client's secret goes there, and keys come from there: neither may cross a network unencrypted."""
        if url is not None:
            _require_encrypted(url)
        return url

    @field_validator("lake")
    @classmethod
    def _known_place(cls, lake: str | None) -> str | None:
        if lake:
            locations.require(lake)
        return lake

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            whole_hour_zone("timezone", name)
        except BadInput as error:
            raise ValueError(error.reason) from None
        return name

    @property
    def bootstrap(self) -> str:
        """The Kafka to talk to, local or not."""
        return self.kafka_bootstrap or f"{self.host}:{self.kafka_port}"

    @property
    def kafka(self) -> KafkaConfig:
        """How clients connect to it. Raises BadSettings if its security settings contradict each other."""
        return KafkaConfig(
            self.bootstrap,
            self.kafka_security_protocol,
            self.kafka_sasl_mechanism,
            ca=self.kafka_ca,
            certificate=self.kafka_certificate,
            key=self.kafka_key,
            check_hostname=self.kafka_check_hostname,
            user=self.kafka_user,
            password=self.kafka_password_file or _revealed(self.kafka_password),
            token=self.kafka_token_file or _revealed(self.kafka_token),
        )

    @property
    def lake_location(self) -> str:
        """The lake's root; the table of reports is `reports` below it."""
        return (self.lake or str(self.home.resolve() / "lake")).rstrip("/")

    @property
    def mongo(self) -> str:
        """The MongoDB URI to talk to, local or not. A secret: it may carry a password."""
        if self.mongo_uri is not None:
            return self.mongo_uri.get_secret_value()
        return f"mongodb://{self.host}:{self.mongo_port}/peacewatch?replicaSet=peacewatch"

    @property
    def web_url(self) -> str:
        return (self.public_url or f"http://{self.web_probe_host}:{self.web_port}").rstrip("/")

    @property
    def web_probe_host(self) -> str:
        """Where this machine reaches the page."""
        return _reachable(self.web_host)

    @property
    def operations_probe_host(self) -> str:
        """Where this machine reaches the operations port."""
        return _reachable(self.operations_host)

    @property
    def webhook(self) -> str:
        """The webhook for alerts; the stand-in's if none is set. A secret."""
        if self.discord_webhook_url is not None:
            return self.discord_webhook_url.get_secret_value()
        return f"http://{self.host}:{self.discord_port}/api/webhooks/1/alerts"

    @property
    def reports_webhook(self) -> str:
        """Where the nightly report's summary goes. A secret."""
        if self.reports_webhook_url is not None:
            return self.reports_webhook_url.get_secret_value()
        if self.discord_webhook_url is not None:
            return self.webhook
        return f"http://{self.host}:{self.discord_port}/api/webhooks/4/reports"

    @property
    def operators_webhook(self) -> str | None:
        """Where operators read of problems; None if alerts go to a real Discord and no channel is set. A secret."""
        if self.operators_webhook_url is not None:
            return self.operators_webhook_url.get_secret_value()
        if self.discord_webhook_url is not None:
            return None
        return f"http://{self.host}:{self.discord_port}/api/webhooks/3/operators"


def load(environ: Mapping[str, str] | None = None, **changes: Any) -> Settings:
    """The settings of the environment. Raises BadSettings, which names the variable and the reason, never a value."""
    environ = os.environ if environ is None else environ
    for name in (f"{PREFIX}{name.upper()}{end}" for name in PROTECTING for end in ("", "_FILE")):
        if name in environ and not environ[name].strip():
            raise BadSettings(f"{name}: is set, but empty: unset it to go without")
    try:
        loaded = Settings(**{**_secrets_from_files(environ), **changes})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise BadSettings(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
    for name in SECRETS:
        if isinstance(value := getattr(loaded, name), SecretStr):
            text = value.get_secret_value()
            tokens = re.split(r":\w+[,\s]*", text) if name == "api_tokens" else ()
            hide(text, *tokens, source=PREFIX + name.upper())
    for key in set(S3_KEYS) - IDS:
        if key in environ:
            hide(environ[key], source=key)
    return loaded


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """Where to reach a server bound to `host`, as in a URL: nothing can connect to one that means all addresses."""
    known = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{known}]" if ":" in known else known


def _require_encrypted(url: str) -> None:
    """Raises ValueError, which does not show it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise ValueError("is not a URL") from None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ValueError("must begin with https://; http:// is allowed only on this machine")


def _secrets_from_files(environ: Mapping[str, str]) -> dict[str, str]:
    texts = {name: secret(environ, f"{PREFIX}{name.upper()}") for name in SECRETS}
    return {name: text for name, text in texts.items() if text is not None}


def _revealed(held: SecretStr | None) -> str | None:
    return None if held is None else held.get_secret_value()
