"""The jars of Apache Kafka. `python -m laptop.services.kafka_jars` fetches them; so does `script/bootstrap`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from fleet.errors import PeacewatchError
from infra.jars import Jars

VERSION: Final = "4.4.0"

KAFKA: Final = Jars(
    what="Kafka",
    name=f"kafka-{VERSION}",
    artifacts={"org.apache.kafka/kafka_2.13": VERSION, "org.slf4j/slf4j-simple": "1.7.36"},
    hashes=Path(__file__).with_name("kafka_jars.sha256"),
)

if __name__ == "__main__":
    try:
        print(KAFKA.fetch())
    except PeacewatchError as error:
        sys.exit(str(error))
