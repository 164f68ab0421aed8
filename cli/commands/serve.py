"""Commands: the web server."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""

    @app.command()
    def serve() -> None:
        """Serve the page and the REST API until stopped."""
        from cli.wiring import web
        from infra import logs, settings

        loaded = settings.load()
        logs.configure("serving")
        web.server(loaded).run()
