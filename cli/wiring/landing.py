"""The lander, wired by the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event

from cli.wiring.places import nearest
from infra.cities import known_places
from infra.settings import Settings
from speed_layer.landing import lander as layer
from speed_layer.landing.partition import Lists


def lander(settings: Settings) -> Callable[[Event], None]:
    """What lands reports until its event is set."""
    places = Lists(nearest, known_places)
    config = layer.LandingConfig(settings.kafka, settings.lake_location, settings.mongo, places)
    return partial(layer.run, config)
