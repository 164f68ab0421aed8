"""What runs on a laptop: every service of Peacewatch in dependency order, as data for the supervisor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from pydantic import SecretStr

from infra import module_names, s3
from infra.kafka import membership
from infra.kafka.address import Address
from infra.kafka.topics import create_topics
from infra.secrets import SECRETS_OF
from infra.settings import PREFIX, Settings
from laptop.airflow.server import Airflow
from laptop.services import kafka, mongo
from laptop.supervision import web_probe
from laptop.supervision.environment import for_own_command, for_third_party
from laptop.supervision.service import Inherit, Port, Service

KAFKA: Final = "kafka"
MONGO: Final = "mongo"
STANDIN: Final = "discord"

# name of the command: (its consumer group, the services it depends on)
_SPEED: Final = {
    "land": ("peacewatch-landing", (KAFKA,)),
    "alerting": ("peacewatch-alerting", (KAFKA,)),
    "notify": ("peacewatch-notifier-alerts", (KAFKA,)),
    "record": ("peacewatch-recorder", (KAFKA, MONGO)),
}

# Many processes run on a small machine: with few threads and malloc arenas each, they save hundreds of MB together.
_SMALL: Final = {
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


def of(settings: Settings, only: Sequence[str] | None = None) -> list[Service]:
    """The services for `settings`: a Kafka, a MongoDB or a webhook named there replaces the local one.

    `only`: the names of the services to return, without dependencies on others.
    """
    environment = environment_of(settings)
    services = [
        *_data_services(settings),
        *_own_services(settings),
        *airflow_of(settings).services(),
    ]
    if only is not None:
        services = [service for service in services if service.name in only]
    names = {service.name for service in services}
    return [_lean(service, names, environment) for service in services]


def airflow_of(settings: Settings) -> Airflow:
    """The Airflow of these settings."""
    database = settings.airflow_database.get_secret_value() if settings.airflow_database else None
    return Airflow(
        settings.home.resolve() / "airflow",
        settings.host,
        settings.airflow_port,
        settings.spark_master,
        database,
        settings.airflow_paused,
        settings.timezone,
        json_logs=settings.log_format == "json",
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """`settings` as variables for children. A secret from a file stays there: the file may change."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    # A child may run in another folder: Airflow's tasks do.
    values.update({name: value.resolve() for name, value in values.items() if isinstance(value, Path)})
    values["lake"] = settings.lake_location
    values["spark_jars"] = settings.spark_jars or s3.jars(settings.lake_location)  # a DAG cannot look for them
    return {
        f"{PREFIX}{name.upper()}": str(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name, value in values.items()
        if value is not None
    }


def _data_services(settings: Settings) -> list[Service]:
    services = []
    home, host = settings.home.resolve(), settings.host
    if settings.kafka_bootstrap is None:
        log = home / "log" / f"{KAFKA}.log"
        port = Port(settings.kafka_port, f"{PREFIX}KAFKA_PORT")
        command = partial(kafka.prepare, home, port.number, host, log)
        ready = partial(_kafka_ready, settings.bootstrap)
        services.append(Service(KAFKA, command, ready, address=settings.bootstrap, port=port, inherit=for_third_party))
    if settings.mongo_uri is None:
        port = Port(settings.mongo_port, f"{PREFIX}MONGO_PORT")
        command = partial(mongo.prepare, home, port.number, host)
        address = f"{host}:{port.number}"
        mongo_ready = partial(_mongo_ready, port.number, host)
        services.append(Service(MONGO, command, mongo_ready, address=address, port=port, inherit=for_third_party))
    return services


def _own_services(settings: Settings) -> list[Service]:
    services = []
    if settings.discord_webhook_url is None:
        port = Port(settings.discord_port, f"{PREFIX}DISCORD_PORT")
        services.append(_web(STANDIN, "discord-standin", port, f"http://{settings.host}:{port.number}", "/"))
    for name, (group, after) in _SPEED.items():
        joining = membership.Joining(settings.kafka, group)
        command = _peacewatch(name, joining.before_start)
        services.append(Service(name, command, joining.ready, after, inherit=_secrets_of(name)))
    port = Port(settings.web_port, f"{PREFIX}WEB_PORT")
    web = _web("serve", "serve", port, f"http://{settings.web_probe_host}:{port.number}", "/readyz")
    services.append(replace(web, after=(MONGO,)))
    return services


def _web(name: str, command: str, port: Port, url: str, probe: str) -> Service:
    ready = partial(_answers, url + probe)
    return Service(name, _peacewatch(command), ready, address=url, port=port, inherit=_secrets_of(command))


def _secrets_of(name: str) -> Inherit:
    return partial(for_own_command, secrets=SECRETS_OF[name])


def _peacewatch(command: str, before: Callable[[], None] = lambda: None) -> Callable[[], Sequence[str | Path]]:
    def prepared() -> Sequence[str | Path]:
        before()
        return [sys.executable, "-P", "-m", module_names.COMMAND, command]

    return prepared


def _lean(service: Service, names: set[str], environment: dict[str, str]) -> Service:
    after = tuple(name for name in service.after if name in names)
    return replace(service, after=after, env={**_SMALL, **service.inherit(environment), **service.env})


def _kafka_ready(bootstrap: Address, _since: datetime) -> bool:
    if not kafka.ready(bootstrap):
        return False
    create_topics(bootstrap)
    return True


def _mongo_ready(port: int, host: str, _since: datetime) -> bool:
    return mongo.ready(port, host)


def _answers(url: str, _since: datetime) -> bool:
    try:
        return web_probe.get(url).is_success
    except httpx.HTTPError:
        return False
