"""How smooth the map of a large fleet is in a real browser, and what a view of it sends.

    script/bench serving_map [DRONES]...        10,000, 100,000 and 540,000 drones

The drones lie in MongoDB as landing writes them, in 48 blocks, six of which change every two seconds. A Chromium
without a graphics card shows the duty room; the map is dragged and zoomed from the world to a city and back. Prints the
longest task of the page's main thread and the time between frames (the browser's own), each view's answer as sent, what
the server took for it, and the time from the end of a move to the drones drawn.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from playwright.sync_api import Page, Response, sync_playwright
from pymongo import MongoClient

from bench.background import background
from bench.machine import machine
from bench.serving import process, processor, wait_ready
from fleet.reports.landed import last_state
from infra.mongo.packed import pack
from laptop import ports
from laptop.services import mongo
from speed_layer.landing.last_states import STATE

FLEETS = (10_000, 100_000, 540_000)
BLOCKS, CHANGED_AT_ONCE, CHANGE_SECONDS = 48, 6, 2.0
CENTRES = 400  # cities that drones gather at
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
WATCH = """
window.seen = { tasks: [], frames: [], drawn: 0 };
new PerformanceObserver((list) => list.getEntries().forEach((one) => seen.tasks.push(one.duration))).observe({ type: "longtask", buffered: true });
(function frame(before) { requestAnimationFrame((now) => { if (before) seen.frames.push(now - before); frame(now); }); })(0);
"""  # noqa: E501 - another language
FORGET = "seen.tasks.length = 0; seen.frames.length = 0"


def block(number: int, drones: int) -> dict[str, Any]:
    """A block of `drones` around the cities, each somewhere else than before."""
    chance = np.random.default_rng(number)
    city = chance.integers(0, CENTRES, drones)
    places = np.random.default_rng(0)
    latitude, longitude = places.uniform(-50, 65, CENTRES)[city], places.uniform(-170, 175, CENTRES)[city]
    now = int(time.time() * 1000)
    noise = np.random.default_rng()
    table = {
        "drone_id": [f"drone-{number:02}-{n:06}" for n in range(drones)],
        "last_state": [last_state(now - n % 60_000, int(n * 7919 % 100_000)) for n in range(drones)],
        "latitude": latitude + noise.normal(0, 0.4, drones),
        "longitude": longitude + noise.normal(0, 0.6, drones),
        "country": [f"Country {n % 200}" for n in city],
        "city": [f"City {n}" for n in city],
        "alert": np.arange(drones) % 100 == 0,
        "worst_score": (np.arange(drones) % 10 + 1).astype("int32"),
    }
    return {"written_at": datetime.now(UTC), "drones": drones, "block": pack(pa.table(table, schema=STATE))}


def moving(database: Any, drones: int) -> AbstractContextManager[None]:
    """Some blocks change every other second, as a fleet's do."""
    again = [block(number, drones) for number in range(CHANGED_AT_ONCE)]  # made before: it is the load, not the cost

    def change(ends: threading.Event) -> None:
        while not ends.wait(CHANGE_SECONDS):
            for number, document in enumerate(again):
                changed = {**document, "written_at": datetime.now(UTC)}
                database.drone_blocks.replace_one({"_id": f"bench/{number}"}, changed)

    return background(change)


def travel(page: Page) -> list[float]:
    """Drags and zooms from the world to a city and back; ms from each move's end to its drones."""
    waited = []
    for step in ("drag", "in", "in", "drag", "in", "in", "drag", "in", "out", "drag", "out", "out", "out", "drag"):
        with page.expect_response(lambda answer: "/drones/map" in answer.url) as coming:
            page.mouse.move(600, 500)
            if step == "drag":
                page.mouse.down()
                page.mouse.move(480, 430, steps=25)
                page.mouse.up()
            else:
                page.mouse.wheel(0, -240 if step == "in" else 240)
        answer: Response = coming.value
        answer.finished()
        waited.append(answer.request.timing["responseEnd"])
        page.wait_for_timeout(700)
    return waited


def look(url: str, server: Any, drones: int) -> None:
    """Prints the row of a fleet."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(WATCH)
        asked: list[Any] = []  # looked at afterwards: a listener that asks the browser itself can wait for ever
        page.on("requestfinished", lambda one: asked.append(one) if "/drones/map" in one.url else None)
        began = time.perf_counter()
        page.goto(url)
        page.locator("#map-note", has_text="drones here").wait_for(timeout=60_000)
        first = (time.perf_counter() - began) * 1000
        page.wait_for_timeout(3000)
        page.evaluate(FORGET)
        asked.clear()
        before = processor(server)
        waited = travel(page)
        views = [size(one) for one in asked]
        cost = (processor(server) - before) / max(len(views), 1) * 1000
        seen = page.evaluate("seen")
        browser.close()
    sent, circles = (statistics.median(column) for column in zip(*views, strict=True))
    frames = np.percentile(seen["frames"], [50, 99])
    print(
        f"| {drones:,} | {first:.0f} | {max(seen['tasks'], default=0):.0f} | {frames[0]:.0f} | {frames[1]:.0f} "
        f"| {statistics.median(waited):.0f} | {max(waited):.0f} | {len(views)} | {circles:.0f} | {sent / 1024:.1f} "
        f"| {max(view[0] for view in views) / 1024:.1f} | {cost:.0f} |",
        flush=True,
    )


def size(asked: Any) -> tuple[int, int]:
    """(bytes as sent, points) of an answer."""
    answer = asked.response()
    return asked.sizes()["responseBodySize"], len(answer.json()["features"])


def measure(uri: str, log: Path, drones: int) -> None:
    """A fleet of `drones` in the server's place of documents, looked at."""
    port = ports.free_port()
    environment = os.environ | {"PEACEWATCH_MONGO_URI": uri, "PEACEWATCH_WEB_PORT": str(port)}
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        documents = client.get_default_database()
        documents.drone_blocks.delete_many({})
        for number in range(BLOCKS):
            documents.drone_blocks.insert_one({"_id": f"bench/{number}", **block(number, drones // BLOCKS)})
        with process(["serve"], environment, log) as server, moving(documents, drones // BLOCKS):
            url = f"http://127.0.0.1:{port}"
            wait_ready(url)
            look(url, server, drones)


def main() -> None:
    fleets = [int(text.replace(",", "")) for text in sys.argv[1:]] or list(FLEETS)
    print(machine(), "\n")
    print("| drones | first view ms | longest task ms | frame p50 ms | p99 ms | view p50 ms | worst ms", end=" ")
    print("| views | points | KiB | most KiB | processor ms a view |\n|" + "---|" * 12)
    with tempfile.TemporaryDirectory() as folder:
        database = mongo.start(Path(folder), ports.free_port())
        try:
            for drones in fleets:
                measure(database.uri, Path(folder) / "serve.log", drones)
        finally:
            database.kill()


if __name__ == "__main__":
    main()
