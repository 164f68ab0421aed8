"""SIGTERM and Ctrl-C set one event; afterwards the process has its own handlers back."""

from __future__ import annotations

import signal
import subprocess
import sys
from threading import Event

import pytest

from infra import stop_signals

WAIT_SECONDS = 120.0

SIGNALLED = """
import os, signal, threading
from infra import stop_signals

def send():
    for _ in range(20_000):
        os.kill(os.getpid(), signal.SIGTERM)
    sent.set()

sent = threading.Event()
with stop_signals.stop_event() as stop:
    threading.Thread(target=send).start()
    while not sent.is_set():
        stop.clear()
        stop.wait(0)
    os.kill(os.getpid(), signal.SIGTERM)
    print("stopped" if stop.wait(60) else "goes on")
"""
"""Waits over and over while signals come, and is stopped in the end."""


@pytest.mark.parametrize("number", stop_signals.STOP)
def test_a_signal_sets_the_event_again_and_again(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signals.stop_event() as stop:
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stop.wait(WAIT_SECONDS)
    assert signal.getsignal(number) is before


def test_a_closed_terminal_counts_where_it_is_asked_for() -> None:
    asked = Event()
    with stop_signals.calling(asked.set, stop_signals.TERMINAL):
        signal.raise_signal(signal.SIGHUP)
        assert asked.wait(WAIT_SECONDS)


def test_a_signal_can_be_taken_as_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stop_signals.interrupting(signal.SIGTERM):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_at_any_step_of_a_wait_stops_the_process() -> None:
    """In a process of its own: one that does not stop would hang the tests."""
    result = subprocess.run(
        [sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=WAIT_SECONDS, check=False
    )
    assert (result.returncode, result.stdout) == (0, "stopped\n"), result.stderr
