"""What requests share: a client of MongoDB, the merged figures, the hub of event streams. Made once a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from serving.completeness import Completeness
from serving.config import MONGO_TIMEOUT_MS, Config
from serving.drones import Drones
from serving.merge import Merge
from serving.operators import Desk
from serving.rejects import Rejects
from serving.stream import Hub


@dataclass(frozen=True)
class Services:
    """The parts that the API and the pages read from."""

    config: Config
    database: Database[dict[str, Any]]
    merge: Merge
    completeness: Completeness
    drones: Drones
    hub: Hub
    desk: Desk
    rejects: Rejects

    def close(self) -> None:
        self.hub.close()
        self.desk.close()
        self.database.client.close()


def connect(config: Config) -> Services:
    """Does not wait for MongoDB: a request that needs it does, and says 503 when it is away."""
    client: MongoClient[dict[str, Any]] = MongoClient(
        config.mongo_uri,
        tz_aware=True,
        serverSelectionTimeoutMS=MONGO_TIMEOUT_MS,
        connectTimeoutMS=MONGO_TIMEOUT_MS,
        socketTimeoutMS=20_000,
        appname="peacewatch-serving",
    )
    database = client.get_default_database("peacewatch")
    return Services(
        config,
        database,
        Merge(database, config.max_age),
        Completeness(database),
        Drones(database),
        Hub(database, config.stream_clients),
        Desk(config.kafka_bootstrap, config.actions_topic),
        Rejects(config.kafka_bootstrap, config.rejected_topic),
    )
