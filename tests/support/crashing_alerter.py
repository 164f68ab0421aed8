"""`peacewatch alerting` or `notify` for tests, which ends itself as a crash would where its arguments say.

python -m tests.support.crashing_alerter COMMAND STEPS: SIGKILL when it has done these steps, each a letter, in this
order.
Alerting does it in a group of its own, so that nobody waits for its session to end: its successor finds what it did on
`alert-state`.
"""

from __future__ import annotations

import os
import signal
import sys

from cli.wiring import alerts
from cli.wiring.places import nearest
from infra import logs, settings, stop_signals
from speed_layer.alerting import alerter


def main(command: str, steps: str) -> None:
    left = list(steps)

    def failpoint(done: str) -> None:
        if done == left[0]:
            del left[0]
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    logs.configure(command)
    loaded = settings.load()
    with stop_signals.stop_event() as stop:
        if command == "notify":
            return alerts.run_together(alerts.channels(loaded, failpoint), stop)
        rules = alerts.rules(loaded)
        config = alerter.AlertingConfig(loaded.bootstrap, rules, nearest, group="doomed", failpoint=failpoint)
        return alerter.run(config, stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
