"""The live summary: what it shows, that a part which is away stops nothing, and how the stream ends."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from rich.console import Console

from fleet.errors import ServiceUnavailable
from laptop.demo.channel import Channel
from laptop.demo.counts import StackCounts
from laptop.demo.live import Show, Stream


class FakeFeed:
    """Acknowledges at once; the message `bad` is one that Kafka never takes."""

    def __init__(self, bad: Any = None) -> None:
        self.acknowledged, self.bad, self.flushed = 0, bad, False

    def send(self, key: Any, value: Any) -> None:
        if value == self.bad:
            raise ServiceUnavailable("Kafka is gone")
        self.acknowledged += 1

    def flush(self) -> None:
        self.flushed = True


class FakeWatch:
    """Counts that never change; what is named in `away` raises."""

    def __init__(self, away: Any = ()) -> None:
        self.away, self.looked = away, 0

    def _value(self, name: Any, value: Any) -> Any:
        self.looked += 1
        if name in self.away:
            raise OSError(name)
        return value

    def landed(self) -> Any:
        return self._value("landed", 1200)

    def rejected(self) -> Any:
        return self._value("rejected", 3)

    def raised(self) -> Any:
        return self._value("raised", {"unrest": 12, "low_battery": 1})

    def channel(self) -> Any:
        return self._value("channel", Channel(5, {"unrest": 9}))

    def last_run(self) -> Any:
        run = {"version": 7, "finished_at": datetime.now(UTC) - timedelta(minutes=9)}
        return self._value("last_run", run)


def messages() -> Any:
    return ((b"k", f"{number}".encode()) for number in itertools.count())


def show(terminal: Any, feed: Any = None, watch: Any = None) -> Any:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=terminal)
    stop = Event()
    feed, watch = feed or FakeFeed(), watch or FakeWatch()
    stream = Stream(feed, messages(), 10_000, stop)
    shown = Show(
        stream, feed, watch, "the addresses", console, stop, StackCounts(), show_seconds=0.01, line_seconds=0.01
    )
    return shown, out


def test_the_rows() -> None:
    counts = StackCounts()
    counts.look(5000, FakeWatch())
    assert dict(counts.rows()) == {
        "reports sent": "5,000",
        "landed": "1,200",
        "rejected": "3",
        "alerts raised": "13",
        "delivered": "9 in 5 messages",
        "last batch run": "version 7 of the lake, 9 min ago",
    }


def test_a_part_that_is_away_keeps_its_last_count() -> None:
    counts = StackCounts()
    counts.look(1, FakeWatch())
    before = dict(counts.rows())
    counts.look(1, FakeWatch(away=("landed", "rejected", "channel", "last_run")))
    assert counts.away == ["the lake", "Kafka", "Discord", "MongoDB"]
    assert dict(counts.rows()) == before
    assert counts.line().endswith("; the lake, Kafka, Discord, MongoDB did not answer")


@pytest.mark.parametrize("terminal", [True, False])
def test_it_streams_and_shows_until_it_is_stopped(terminal: Any) -> None:
    shown, out = show(terminal)
    watch = shown.watch
    shown.watch = FakeWatch()
    shown.watch.last_run = lambda: shown.stop.set() if shown.watch.looked > 20 else watch.last_run()
    counts = shown.run()
    assert shown.feed.flushed
    assert counts.sent == shown.feed.acknowledged > 0
    assert "the addresses" in out.getvalue()
    assert ("Ctrl-C stops everything" if terminal else "alerts raised 13; delivered 9 in 5 messages") in out.getvalue()


def test_a_stream_that_breaks_ends_it_with_the_reason() -> None:
    shown, _ = show(False, FakeFeed(bad=b"7"))
    with pytest.raises(ServiceUnavailable, match="Kafka is gone"):
        shown.run()
    assert shown.stop.is_set()
