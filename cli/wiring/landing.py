"""The lander, wired by the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event

from cli.wiring.places import nearest
from infra.settings import Settings
from speed_layer.landing import lander as layer


def lander(settings: Settings) -> Callable[[Event], None]:
    """What lands reports until its event is set."""
    config = layer.LandingConfig(settings.kafka, settings.lake_location, settings.mongo, nearest=nearest)
    return partial(layer.run, config)
