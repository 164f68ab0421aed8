"""Peacewatch on one machine. For `peacewatch up`, the demo and tests:

    with Stack(settings, on_event=print) as stack:      # starts all, returns when all is ready; stops all at the end
        stack.settings.bootstrap, .mongo, .web_url, .webhook   # where things are
        stack.airflow.url, airflow.USER, stack.airflow.password

    settings = on_free_ports(settings)              # before: each default port that is taken is replaced by a free one
    Stack(settings, only=["kafka", "mongo"])        # some of the services (names: see laptop.services.catalogue)

`on_event` is called with each `laptop.supervision.service.ServiceEvent`, in the supervisor's thread. What cannot work
raises PeacewatchError before anything is started. Children get the settings as environment variables.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from pymongo.errors import PyMongoError

from fleet.errors import MissingPart, ServiceUnavailable
from infra import java
from infra.conditional_writes import require_conditional_writes
from infra.kafka.topics import create_topics
from infra.mongo import client as mongo_client
from infra.settings import Settings
from laptop import ports
from laptop.airflow.server import Airflow
from laptop.services import catalogue, kafka, mongo
from laptop.services.kafka_jars import KAFKA
from laptop.supervision.service import Service
from laptop.supervision.supervisor import OnEvent, Supervisor

_PORTS: Final = ("kafka_port", "mongo_port", "web_port", "airflow_port", "discord_port")


class Stack:
    """The services of `settings`, or `only` those named."""

    def __init__(
        self, settings: Settings, only: Sequence[str] | None = None, on_event: OnEvent = lambda _event: None
    ) -> None:
        self.settings = settings
        self.airflow: Airflow = catalogue.airflow_of(settings)
        self.services: list[Service] = catalogue.of(settings, only)
        self._supervisor = Supervisor(self.services, settings.home, on_event)

    def start(self) -> bool:
        """Returns True when every service is ready; False if it was asked to stop before that.

        Raises MissingPart, BadSettings or ServiceUnavailable.
        """
        check(self.settings, self.services)
        return self._supervisor.start()

    def wait(self) -> None:
        """Returns when the stack has ended after `ask_to_stop`."""
        self._supervisor.wait()

    def ask_to_stop(self) -> None:
        """Returns at once; for signal handlers."""
        self._supervisor.ask_to_stop()

    def stop(self) -> None:
        """Returns when no process of the stack is left. The data stays."""
        self._supervisor.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def on_free_ports(settings: Settings) -> Settings:
    """`settings`, with a free port for each local service whose own port is in use."""
    in_use = [name for name in _PORTS if not _is_free(getattr(settings, name), settings.host)]
    return settings.model_copy(update={name: ports.free_port(settings.host) for name in in_use})


def check(settings: Settings, services: Sequence[Service]) -> None:
    """Raises, in one sentence, for the first thing that would keep the services from working. Starts nothing."""
    names = {service.name for service in services}
    if shutil.which("setpriv") is None:
        raise MissingPart("there is no setpriv on the PATH; install util-linux")
    if catalogue.KAFKA in names or any(name.startswith("airflow") for name in names):
        java.java()
    if catalogue.KAFKA in names:
        KAFKA.fetch()
    if catalogue.MONGO in names:
        mongo.mongod()
    for service in services:
        if service.port is not None:
            ports.require_free(service.name, service.port.number, settings.host, service.port.setting)
    _check_outside(settings)


def _check_outside(settings: Settings) -> None:
    try:
        require_conditional_writes(settings.lake_location)
    except ServiceUnavailable as error:
        raise ServiceUnavailable(f"{error} (PEACEWATCH_LAKE)") from None
    if settings.kafka_bootstrap is not None:
        if not kafka.reachable(settings.kafka):
            raise ServiceUnavailable(
                f"no broker accepts connections at {settings.kafka_bootstrap} (PEACEWATCH_KAFKA_BOOTSTRAP)"
            )
        create_topics(settings.kafka)  # raises why Kafka refuses us
    if settings.mongo_uri is not None:
        try:
            with mongo_client.client(settings.mongo, "up", wait_ms=5000) as client:
                client.admin.command("ping")
        except PyMongoError as error:
            raise ServiceUnavailable(
                f"MongoDB does not answer (PEACEWATCH_MONGO_URI): {mongo_client.reason(error)}"
            ) from None


def _is_free(port: int, host: str) -> bool:
    try:
        ports.require_free("", port, host)
    except ServiceUnavailable:
        return False
    return True
