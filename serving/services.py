"""What requests share, made once a process: a client of MongoDB, the merged figures, the hub of event streams."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

from fleet.figures.day_form import WHOLE_FORMS
from infra.mongo import client as mongo
from serving import rejected
from serving.config import MONGO_TIMEOUT_MS, Config
from serving.events.hub import Hub
from serving.figures.completeness import DayCompleteness
from serving.figures.drones import Drones
from serving.figures.merge import Merge
from serving.http.access import Access
from serving.operators.audit import Audit
from serving.operators.desk import Desk
from serving.rejected import RejectedMessages
from serving.sign_in.provider import Provider
from serving.sign_in.sessions import Sessions
from serving.sign_in.single_sign_on import SingleSignOn

ANSWER_SECONDS: Final = 20
"""Nobody waits longer for a page; a nightly report, which counts millions of alerts, may take longer."""

WARM_DAYS: Final = 31
"""The newest days, which a server reads when it starts."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class Services:
    """The parts that the API and the pages read from."""

    config: Config
    database: Database[dict[str, Any]]
    merge: Merge
    completeness: DayCompleteness
    drones: Drones
    hub: Hub
    audit: Audit
    rejected: RejectedMessages
    access: Access

    def warm(self) -> None:
        """Reads what the first visitors will request, a day at a time, so that requests wait for one day at most."""
        try:
            known = self.merge.served()
            if known.first_hour is not None and known.last_hour is not None:
                first, last = known.first_hour // 24, known.last_hour // 24
                for day in range(last, max(first - 1, last - WARM_DAYS), -1):
                    for form in WHOLE_FORMS:  # of the others one part is read at a time, in some milliseconds a month
                        self.merge.served((), range(day, day + 1), form)
            self.drones.fleet()
        except PyMongoError as error:
            _log.info("cache not warmed", reason=error)

    def close(self) -> None:
        self.hub.close()
        self.audit.desk.close()
        if self.access.single_sign_on is not None:
            self.access.single_sign_on.close()
        self.database.client.close()


def connect(config: Config, answer_seconds: int = ANSWER_SECONDS) -> Services:
    """Does not wait for MongoDB: a request that needs it waits, and answers 503 when it is away. A query may take
    `answer_seconds` at most.
    """
    client = mongo.client(config.mongo_uri, "serving", MONGO_TIMEOUT_MS, answer_ms=answer_seconds * 1000)
    database = mongo.database(client)
    return Services(
        config,
        database,
        Merge(database, config.max_age),
        DayCompleteness(database),
        Drones(database),
        Hub(database, config.stream_clients, config.streams_a_client),
        Audit(database, Desk(config.kafka_bootstrap, config.actions_topic)),
        RejectedMessages(partial(rejected.newest, config.kafka_bootstrap, config.rejected_topic)),
        Access(config, _single_sign_on(config, database)),
    )


def _single_sign_on(config: Config, database: Database[dict[str, Any]]) -> SingleSignOn | None:
    return SingleSignOn(config.oidc, Provider(config.oidc), Sessions(database)) if config.oidc else None
