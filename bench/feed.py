"""The fleet's reports at a steady rate, by a process of its own: what it costs is not the product's.

    python -m bench.feed BOOTSTRAP REPORTS_A_SECOND SECONDS [LEAST_BATTERY]

540,000 drones, as many as the mission has, so that memories of drones have the mission's size, in 5,000 cities, each
with its own position, battery, citizens and words. 1 % of the reports raise an alert, in twenty other places. Prints
how many were sent, the seconds and the share of a core that it took, as JSON. When the machine cannot send so fast, it
sends what it can.
"""

from __future__ import annotations

import json
import random
import sys
import time
from contextlib import closing
from datetime import UTC, datetime

from infra.kafka import clients
from tests.support.alert_stack import report

TICK = 0.02
PLACES = 20
DRONES = 540_000
CITIES = 5_000
COUNTRIES = 100
LEAST_BATTERY = 25.0
"""Above the limit of a low battery: else each such drone raises an alert in the first minute, on top of the 1 %."""

NAMES = ("Ada Lovelace", "Ibn Sina", "Maryam Mirzakhani", "Chandra", "Sofja Kowalewskaja", "Mei Ling", "Tunde")
WORDS = ("market", "street", "crowd", "peaceful", "shouting", "music", "quiet", "march", "police", "children", "gate")


def main(bootstrap: str, rate: int, seconds: float, least_battery: float = LEAST_BATTERY) -> None:
    quiet = [_quiet_report(random.Random(city), city, least_battery) for city in range(CITIES)]
    with closing(clients.producer(bootstrap, linger_ms=5, batch_size=262144, **clients.IDEMPOTENT)) as producer:
        began, cpu, sent = time.monotonic(), time.process_time(), 0
        while (now := time.monotonic() - began) < seconds:
            due, at = round(now * rate), datetime.now(UTC).isoformat()
            for n in range(sent, min(due, sent + rate)):
                drone = f"d{n % DRONES}"
                if n % 100:
                    value = quiet[n % CITIES] % (f"q{n}", drone, at)
                else:
                    value = json.dumps(report(n, PLACES, report_id=f"q{n}", drone_id=drone, reported_at=at))
                producer.send("reports", value.encode(), key=drone.encode())
            sent = min(due, sent + rate)
            time.sleep(TICK)
        producer.flush()
        took = time.monotonic() - began
    print(json.dumps({"sent": sent, "seconds": took, "cpu": (time.process_time() - cpu) / took}))


def _quiet_report(random_number: random.Random, city: int, least_battery: float) -> str:
    """JSON with places for the report's id, the drone's and the time."""
    form = report(
        0,
        alert=False,
        report_id="%s",
        drone_id="%s",
        reported_at="%s",
        latitude=round(random_number.uniform(-60, 70), 5),
        longitude=round(random_number.uniform(-180, 180), 5),
        battery=round(random_number.uniform(least_battery, 100), 1),
        citizens=[
            {"name": random_number.choice(NAMES), "peace_score": random_number.randint(3, 10)}
            for _ in range(random_number.randint(0, 3))
        ],
        message=" ".join(random_number.choices(WORDS, k=6)),
        country=f"Country {city % COUNTRIES}",
        city=f"Town {city}",
    )
    return json.dumps(form)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *(float(argument) for argument in sys.argv[3:5]))
