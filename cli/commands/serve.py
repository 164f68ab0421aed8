"""Commands: the web server and its tokens."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""

    @app.command()
    def serve() -> None:
        """Serve the pages and the REST API until stopped."""
        from cli.wiring import web
        from infra import logs, settings

        loaded = settings.load()
        logs.configure("serving")
        web.serve(loaded)

    @app.command()
    def token(
        role: Annotated[
            Literal["viewer", "operator", "admin"],
            typer.Option(help="viewer: may read; operator: may also act on incidents; admin: may also end sessions"),
        ] = "viewer",
    ) -> None:
        """Make an API token: an entry for PEACEWATCH_API_TOKENS or its file."""
        from serving.tokens import new_token

        typer.echo(new_token(role))
