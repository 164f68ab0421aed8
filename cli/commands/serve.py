"""Commands: the web server."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""

    @app.command()
    def serve() -> None:
        """Serve the page and the REST API until stopped."""
        from fleet.errors import BadSettings
        from infra import logs, settings
        from serving.config import Config, parse_tokens
        from serving.server import serve as serve_web

        wanted = settings.load()
        logs.configure("serving")
        try:
            tokens = parse_tokens(wanted.api_tokens.get_secret_value() if wanted.api_tokens else None)
        except ValueError as error:
            raise BadSettings(f"PEACEWATCH_API_TOKENS: {error}") from None
        config = Config(
            mongo_uri=wanted.mongo,
            kafka_bootstrap=wanted.kafka,
            lake=wanted.lake_location,
            tokens=tokens,
            rate_limit=wanted.api_rate_limit,
            public_url=wanted.web_url,
        )
        serve_web(config, wanted.host, wanted.web_port)
