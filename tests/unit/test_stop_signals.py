"""SIGTERM and Ctrl-C set one event; afterwards the process has its own handlers back."""

from __future__ import annotations

import signal

import pytest

from infra import stop_signals


@pytest.mark.parametrize("number", stop_signals.STOP)
def test_a_signal_sets_the_event_again_and_again(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signals.stop_event() as stop:
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stop.is_set()
    assert signal.getsignal(number) is before


def test_a_closed_terminal_counts_where_it_is_asked_for() -> None:
    asked: list[str] = []
    with stop_signals.calling(lambda: asked.append("stop"), stop_signals.TERMINAL):
        signal.raise_signal(signal.SIGHUP)
    assert asked == ["stop"]
