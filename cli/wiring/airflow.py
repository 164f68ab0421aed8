"""Airflow's own commands, with their environment from the settings."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from infra import module_names
from infra.secrets import SECRETS_OF
from infra.settings import Settings
from laptop.airflow import server
from laptop.services import catalogue
from laptop.supervision.environment import for_own_command

OVERRIDES: Final = "AIRFLOW__"
"""Variables with this prefix are Airflow's own settings. One that is set wins over ours."""

Command = tuple[list[str], dict[str, str]]
"""A program with its arguments, and its environment."""


def command(settings: Settings, arguments: Sequence[str], environ: Mapping[str, str]) -> Command:
    """Airflow's command line with `arguments`. A long-running process gets only its own secrets."""
    process = f"airflow-{arguments[0]}"
    secrets = SECRETS_OF.get(process, SECRETS_OF["airflow-scheduler"])
    return server.program(*arguments), _environment(settings, secrets, environ)


def setup(settings: Settings, environ: Mapping[str, str]) -> Command:
    """The set-up of Airflow's database and pools."""
    home = catalogue.airflow_of(settings).home
    program = [sys.executable, "-P", "-m", module_names.of("laptop.airflow.setup"), str(home)]
    return program, _environment(settings, SECRETS_OF["airflow-setup"], environ)


def _environment(settings: Settings, secrets: frozenset[str], environ: Mapping[str, str]) -> dict[str, str]:
    overrides = {name: value for name, value in environ.items() if name.startswith(OVERRIDES)}
    ours = for_own_command({**environ, **catalogue.environment_of(settings)}, secrets)
    return {**ours, **catalogue.airflow_of(settings).environment(), **overrides}
