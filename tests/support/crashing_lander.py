"""`peacewatch land` for tests: one process, its arguments say where it ends itself as a crash would.

python -m tests.support.crashing_lander CONFIG.json [STEP [TIMES]]: SIGKILL at the TIMES-th (1st) time it has done STEP.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from infra import logs, stop_signals
from speed_layer.landing import lander


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    step, times = (sys.argv[2] if len(sys.argv) > 2 else ""), (int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    seen = 0

    def failpoint(done: str) -> None:
        nonlocal seen
        seen += done == step
        if done == step and seen == times:
            os.kill(os.getpid(), signal.SIGKILL)

    logs.configure("landing")
    with stop_signals.stop_event() as stop:
        lander.run(lander.LandingConfig(**settings, failpoint=failpoint), stop)


if __name__ == "__main__":
    main()
