"""The web server, wired by the settings."""

from __future__ import annotations

from fleet.errors import BadSettings
from infra.settings import Settings
from serving.config import Config, parse_tokens
from serving.server import Server


def server(settings: Settings) -> Server:
    """The server of the page and the REST API. Raises BadSettings for wrong tokens, without naming one."""
    try:
        tokens = parse_tokens(settings.api_tokens.get_secret_value() if settings.api_tokens else None)
    except ValueError as error:
        raise BadSettings(f"PEACEWATCH_API_TOKENS: {error}") from None
    config = Config(
        mongo_uri=settings.mongo,
        kafka_bootstrap=settings.kafka,
        lake=settings.lake_location,
        tokens=tokens,
        rate_limit=settings.api_rate_limit,
        public_url=settings.web_url,
    )
    return Server(config, settings.host, settings.web_port)
