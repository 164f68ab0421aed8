"""The watch over a membership: a consumer that finds no coordinator is given up, one that finds it again is not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kafka.coordinator.base import BaseCoordinator

from speed_layer.forever import NotYet
from speed_layer.group import LOST_SECONDS, GroupWatch


def test_a_lost_coordinator_ends_the_session_in_time_and_a_found_one_does_not():
    clock = [0.0]
    coordinator = SimpleNamespace(coordinator_id=None)
    watch = GroupWatch(SimpleNamespace(_coordinator=coordinator), lambda: clock[0])
    clock[0] = LOST_SECONDS
    watch.check()
    coordinator.coordinator_id = 1
    clock[0] += 100
    watch.check()
    coordinator.coordinator_id = None
    clock[0] += LOST_SECONDS
    watch.check()
    clock[0] += 0.1
    with pytest.raises(NotYet, match="sought anew"):
        watch.check()


def test_the_client_still_has_what_is_watched():
    assert "coordinator_id" in BaseCoordinator.__init__.__code__.co_names
