"""The `peacewatch` command. An error of ours is one sentence on stderr and exit code 2, never a stack trace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

import typer
from typer.exceptions import TyperException

from cli import extras
from cli.commands import alerts, backup, batch, checks, demo, discord, feed, lake, report, serve, services, speed
from fleet.errors import PeacewatchError
from infra import logs, s3

app = typer.Typer(name="peacewatch", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for panel, groups in {
    "This machine": (services, checks, demo, discord, feed),
    "Long-running processes": (speed, alerts, serve),
    "Batch and lake": (batch, lake, backup),
    "Reports": (report,),
}.items():
    commands, subgroups = len(app.registered_commands), len(app.registered_groups)
    for group in groups:
        group.register(app)
    for command in app.registered_commands[commands:]:
        command.rich_help_panel = panel
    for subgroup in app.registered_groups[subgroups:]:
        subgroup.rich_help_panel = panel


PRIVATE: Final = 0o077
"""The umask: folders 0700, files 0600. Only the user who runs this may read logs, keys and what citizens say."""


def main(command: Callable[..., object] = app) -> NoReturn:
    """Runs `command`, and ends the process with its exit code. An error of ours is one sentence and exit code 2."""
    os.umask(PRIVATE)
    logs.mask_uncaught_errors()
    try:
        s3.keys_from_files()
        code = command(standalone_mode=False)
    except PeacewatchError as error:
        logs.end(str(error))
        sys.exit(2)
    except ModuleNotFoundError as error:
        logs.end(extras.missing(error, sys.argv[1:]))
        sys.exit(2)
    except TyperException as error:  # a wrong option; without a command, the help
        print(
            f"peacewatch: {' '.join(error.format_message().split())}" if len(sys.argv) > 1 else error, file=sys.stderr
        )
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        if not _is_of_kafka(error):
            raise
        from infra.kafka import failures  # noqa: PLC0415 - only where Kafka's client is loaded already

        logs.end(f"Kafka failed: {failures.sentence(error)}")
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _is_of_kafka(error: Exception) -> bool:
    """Whether Kafka's client raised it. Only commands that need the client load it."""
    errors = sys.modules.get("kafka.errors")
    return errors is not None and isinstance(error, errors.KafkaError)
