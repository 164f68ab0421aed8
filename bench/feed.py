"""The fleet's reports at a steady rate, by a process of its own: what it costs is not the product's.

    python -m bench.feed BOOTSTRAP REPORTS_A_SECOND SECONDS

540,000 drones in twenty places, as many as the mission has, so that memories of drones have the mission's size;
1 % of the reports raise an alert. Prints how many were sent, the seconds and the share of a core that it took, as JSON.
When the machine cannot send so fast, it sends what it can.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing

from infra.kafka import clients
from tests.support.alert_stack import report

TICK = 0.02
PLACES = 20
DRONES = 540_000


def main(bootstrap: str, rate: int, seconds: float) -> None:
    quiet = json.dumps(report(0, alert=False)).replace('"r0"', '"%s"').replace('"d0"', '"%s"')
    assert quiet.count("%s") == 2
    with closing(clients.producer(bootstrap, linger_ms=5, batch_size=262144, **clients.IDEMPOTENT)) as producer:
        began, cpu, sent = time.monotonic(), time.process_time(), 0
        while (now := time.monotonic() - began) < seconds:
            due = round(now * rate)
            for n in range(sent, min(due, sent + rate)):
                drone = f"d{n % DRONES}"
                if n % 100:
                    value = quiet % (f"q{n}", drone)
                else:
                    value = json.dumps(report(n, PLACES, report_id=f"q{n}", drone_id=drone))
                producer.send("reports", value.encode(), key=drone.encode())
            sent = min(due, sent + rate)
            time.sleep(TICK)
        producer.flush()
        took = time.monotonic() - began
    print(json.dumps({"sent": sent, "seconds": took, "cpu": (time.process_time() - cpu) / took}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
