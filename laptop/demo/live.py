"""The live demo: streams a simulated fleet until Ctrl-C, and shows a summary of the stack's counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from fleet.errors import PeacewatchError
from laptop.demo.counts import StackCounts
from laptop.demo.watch import Watch
from laptop.feed.producer import Feed, paced

SHOW_SECONDS: Final = 1.0
LINE_SECONDS: Final = 15.0
"""Between log lines, when there is no terminal."""


class Stream(Thread):
    """Sends messages at a pace until `stop`; `error` says why it ended early."""

    def __init__(self, feed: Feed, messages: Iterable[tuple[bytes, bytes]], rate: float, stop: Event) -> None:
        super().__init__(name="stream", daemon=True)
        self._feed, self._messages, self._rate, self._stop_asked = feed, messages, rate, stop
        self.error: PeacewatchError | None = None

    def run(self) -> None:
        try:
            for key, value in paced(self._messages, self._rate, sleep=self._stop_asked.wait):
                if self._stop_asked.is_set():
                    break
                self._feed.send(key, value)
            self._feed.flush()
        except PeacewatchError as error:
            self.error = error
            self._stop_asked.set()


@dataclass
class Show:
    """The summary: a panel on a terminal, lines elsewhere. `where` holds addresses and passwords."""

    stream: Stream
    feed: Feed
    watch: Watch
    where: RenderableType
    console: Console
    stop: Event
    counts: StackCounts = field(default_factory=StackCounts)
    show_seconds: float = SHOW_SECONDS
    line_seconds: float = LINE_SECONDS

    def run(self) -> StackCounts:
        """Streams and shows until `stop` is set. Raises the error that ended the stream early, if any."""
        self.stream.start()
        if self.console.is_terminal:
            self._on_a_terminal()
        else:
            self._in_lines()
        self.stream.join()
        if self.stream.error:
            raise self.stream.error
        self._look()
        return self.counts

    def _on_a_terminal(self) -> None:
        with Live(console=self.console, refresh_per_second=4, transient=True) as live:
            while not self.stop.is_set():
                self._look()
                live.update(Group(_panel(self.counts), self.where))
                self.stop.wait(self.show_seconds)

    def _in_lines(self) -> None:
        self.console.print(self.where)
        while not self.stop.wait(self.line_seconds):
            self._look()
            self.console.print(self.counts.line(), highlight=False, soft_wrap=True)

    def _look(self) -> None:
        self.counts.look(self.feed.acknowledged, self.watch)


def _panel(counts: StackCounts) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(style="bold")
    for name, value in counts.rows():
        table.add_row(name, value)
    hint = f"[red]{', '.join(counts.away)} did not answer[/]" if counts.away else "[dim]Ctrl-C stops everything[/]"
    return Panel(table, title="[bold]Peacewatch[/]", title_align="left", subtitle=hint, subtitle_align="right")
