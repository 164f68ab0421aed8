"""The lander, wired by the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event

from cli.wiring.places import nearest
from fleet.reports.pseudonyms import Pseudonyms
from infra.cities import known_places
from infra.settings import Settings
from speed_layer.landing import lander as layer
from speed_layer.landing.partition import Names


def lander(settings: Settings) -> Callable[[Event], None]:
    """The runner that lands reports until its event is set."""
    key = settings.pseudonym_key
    pseudonyms = Pseudonyms(key.get_secret_value()) if key is not None else None
    names = Names(nearest, known_places, pseudonyms)
    config = layer.LandingConfig(settings.kafka, settings.lake_location, settings.mongo, names)
    return partial(layer.run, config)
