"""Which extra of the package each command needs: `peacewatch[landing]` installs what `peacewatch land` imports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BY_COMMAND: Final = {
    **dict.fromkeys(("land", "rejects", "trace"), "landing"),
    **dict.fromkeys(
        ("alerting", "notify", "record", "notify-operators", "tell-operators", "doctor", "healthcheck", "kafka-setup"),
        "alerts",
    ),
    **dict.fromkeys(("aggregate", "compact", "seal", "vacuum", "trim-log", "backup", "restore"), "batch"),
    **dict.fromkeys(("serve", "token", "report"), "serving"),
    **dict.fromkeys(("airflow", "airflow-setup"), "airflow"),
    **dict.fromkeys(("up", "down", "status", "demo", "replay", "simulate", "discord-standin"), "laptop"),
}


def missing(error: ModuleNotFoundError, arguments: Sequence[str]) -> str:
    """What to install for the command in `arguments`. Raises `error` when the module is one of ours."""
    module = (error.name or "").partition(".")[0]
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    if command not in BY_COMMAND or module == __name__.partition(".")[0]:
        raise error
    return f"`{command}` needs {module}, which is not installed; install peacewatch[{BY_COMMAND[command]}]"
