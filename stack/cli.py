"""The `peacewatch` command. An error of ours is one sentence on stderr and exit code 2, never a stack trace."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from fleet.errors import PeacewatchError
from stack.commands import batch, demo, feed, serve, services, speed

app = typer.Typer(name="peacewatch", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for group in (services, feed, speed, batch, serve, demo):
    group.register(app)


def main() -> NoReturn:
    try:
        app()
    except PeacewatchError as error:
        print(f"peacewatch: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
