"""Commands: the Discord stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command("discord-standin")(discord_standin)


def discord_standin(
    port: Annotated[int | None, typer.Option(help="port to listen on; 0 picks a free one", min=0, max=65535)] = None,
    data: Annotated[Path | None, typer.Option(help="folder for messages; default: discord/ in PEACEWATCH_HOME")] = None,
) -> None:
    """Run the local stand-in for Discord's webhooks, with their limits, until stopped. Its channel is a page at /."""
    import structlog

    from fleet.errors import ServiceUnavailable
    from infra import logs, settings, stop_signals
    from laptop.discord_standin.app import StandIn
    from laptop.discord_standin.server import StandinServer

    loaded = settings.load()
    logs.configure("discord-standin")
    number = loaded.discord_port if port is None else port
    folder = data or loaded.home / "discord"
    try:
        server = StandinServer((loaded.host, number), StandIn(folder))
    except OSError as error:
        raise ServiceUnavailable(f"the Discord stand-in cannot start on port {number}: {error.strerror}") from None
    with stop_signals.calling(server.shutdown):
        structlog.get_logger().info("started", url=server.url, data=str(folder))
        print(server.url, flush=True)
        with server:
            server.serve_forever(poll_interval=0.2)
    server.standin.close()
