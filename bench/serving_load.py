"""Loads for bench/serving.py: requests at a rate or at full speed, open event streams, a feed of live documents."""

from __future__ import annotations

import http.client
import itertools
import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit


def at_rate(url: str, paths: list[str], rate: float, seconds: float, threads: int) -> list[float]:
    """Seconds from when each request was due to its whole answer: a slow server is not spared by waiting for it."""
    begins = time.perf_counter() + 0.1
    due = iter(range(int(rate * seconds)))
    lock = threading.Lock()

    def worker(_: int) -> list[float]:
        connection = _connect(url)
        taken: list[float] = []
        while True:
            with lock:
                number = next(due, None)
            if number is None:
                return taken
            at = begins + number / rate
            time.sleep(max(0.0, at - time.perf_counter()))
            _ask(connection, paths[number % len(paths)])
            taken.append(time.perf_counter() - at)

    return _all(worker, threads)


def at_full_speed(url: str, paths: list[str], seconds: float, threads: int) -> list[float]:
    """Seconds of each answer while `threads` clients ask without a pause."""
    ends = time.perf_counter() + seconds

    def worker(first: int) -> list[float]:
        connection = _connect(url)
        taken: list[float] = []
        for number in itertools.count(first):
            began = time.perf_counter()
            if began >= ends:
                return taken
            _ask(connection, paths[number % len(paths)])
            taken.append(time.perf_counter() - began)
        return taken

    return _all(worker, threads)


CLIENT_STREAMS = 50
"""Streams that a server opens for one client."""


class Streams:
    """Open event streams, read by one thread."""

    def __init__(self, url: str, count: int) -> None:
        self._address = (urlsplit(url).hostname, urlsplit(url).port)
        self._count = count
        self._selector = selectors.DefaultSelector()
        self._seen: dict[str, list[float]] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Streams:
        for number in range(self._count):
            source = (f"127.0.1.{1 + number // CLIENT_STREAMS}", 0)  # all of 127/8 is this machine
            opened = socket.create_connection(self._address, timeout=30, source_address=source)
            opened.sendall(b"GET /api/v1/stream?events=alert HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while b"retry:" not in opened.recv(4096):
                pass
            opened.setblocking(False)
            self._selector.register(opened, selectors.EVENT_READ, bytearray())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]

    def times(self, sent: Iterable[str]) -> list[float]:
        """Seconds from when each alert is with Kafka to when each stream has it. Raises when one has it not in 20 s."""
        began = {name: time.perf_counter() for name in sent}
        until = time.perf_counter() + 20
        while any(len(self._seen.get(name, ())) < self._count for name in began):
            if time.perf_counter() > until:
                raise TimeoutError(f"{sum(map(len, self._seen.values()))} of {len(began) * self._count} events came")
            time.sleep(0.1)
        return [at - began[name] for name, times in self._seen.items() if name in began for at in times]

    def _read(self) -> None:
        while not self._ends.is_set():
            for key, _ in self._selector.select(timeout=0.2):
                key.data.extend(key.fileobj.recv(65536))  # type: ignore[union-attr]
                now = time.perf_counter()
                *whole, rest = bytes(key.data).split(b"\n\n")
                key.data[:] = rest
                for name in _alert_ids(whole):
                    self._seen.setdefault(name, []).append(now)


class Feed:
    """A new live document every five seconds, as landing writes."""

    def __init__(self, database: Any, hour: int, first: int, cells: Callable[[int, int], dict[str, list[Any]]]) -> None:
        self._database, self._hour, self._first, self._cells = database, hour, first, cells
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _write(self) -> None:
        for version in itertools.count(self._first):
            if self._ends.wait(5):
                return
            document = {"_id": version, "committed_at": datetime.now(UTC), "cells": self._cells(self._hour, version)}
            self._database.live.insert_one(document)


def _alert_ids(messages: list[bytes]) -> Iterator[str]:
    for message in messages:
        data = message.partition(b"data: ")[2]
        if data:
            yield json.loads(data.partition(b"\r\n")[0])["alert_id"]


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)


def _ask(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")


def _all(worker: Callable[[int], list[float]], threads: int) -> list[float]:
    with ThreadPoolExecutor(threads) as pool:
        return [seconds for taken in pool.map(worker, range(threads)) for seconds in taken]
