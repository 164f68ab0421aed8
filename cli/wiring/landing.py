"""The lander, wired by the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event

from cli.wiring.places import nearest
from infra.settings import Settings
from speed_layer.landing import lander as layer
from speed_layer.landing import metrics


def lander(settings: Settings) -> Callable[[Event], None]:
    """What lands reports until its event is set; its metrics are served from now on, where a port is set."""
    if settings.landing_metrics_port is not None:
        metrics.serve(settings.landing_metrics_port, settings.host)
    config = layer.LandingConfig(settings.kafka, settings.lake_location, settings.mongo, nearest=nearest)
    return partial(layer.run, config)
