"""The last state of 540,000 drones that report once a minute: what it costs landing and MongoDB.

    script/bench last_states [MONGO_URI]

Six partitions of 90,000 drones; each commit of 5 s brings 7,500 reports a partition; blocks are written every 30 s.
Printed per minute of the mission: 540,000 reports.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from pymongo import MongoClient

from bench.machine import machine
from fleet.reports.landed import last_state
from laptop import ports
from laptop.services import mongo
from speed_layer.landing.commit import Lake
from speed_layer.landing.last_states import STATE, LastStates, States, newest

PARTITIONS, DRONES, COMMIT_SECONDS, BLOCK_SECONDS = 6, 90_000, 5, 30


def rows(partition: int, first: int) -> pa.Table:
    """A partition's reports of one commit: drones in turn, each where it is now."""
    count = DRONES * COMMIT_SECONDS // 60
    numbers = (first + np.arange(count)) % DRONES
    random = np.random.default_rng(first)
    states = [last_state(1_795_000_000_000 + first + n, int(n) % 100_000) for n in range(count)]
    return pa.table(
        {
            "drone_id": [f"drone-{partition}-{n}" for n in numbers],
            "last_state": pa.array(states, pa.int64()),
            "latitude": random.uniform(-60, 70, count),
            "longitude": random.uniform(-180, 180, count),
            "country": [f"Country {n % 200}" for n in numbers],
            "city": [f"City {n % 3000}" for n in numbers],
            "alert": numbers % 100 == 0,
            "worst_score": (numbers % 10 + 1).astype("int32"),
        },
        schema=STATE,
    )


def main(uri: str) -> None:
    with tempfile.TemporaryDirectory() as folder, MongoClient[dict[str, Any]](uri) as client:
        client.drop_database("bench_last_states")
        database = client["bench_last_states"]
        states = LastStates(database, Lake(folder))
        per_commit = DRONES * COMMIT_SECONDS // 60
        folding = writing = 0.0
        writes = 0
        for second in range(0, 120, COMMIT_SECONDS):  # the first minute makes the drones known, the second is measured
            first = second // COMMIT_SECONDS * per_commit
            parts = [rows(partition, first) for partition in range(PARTITIONS)]
            began, cpu = time.perf_counter(), time.process_time()
            for partition, part in enumerate(parts):
                states.add(States("topic", partition, first, first + per_commit, newest([part])))
            folding += (time.process_time() - cpu) * (second >= 60)
            if (second + COMMIT_SECONDS) % BLOCK_SECONDS == 0:
                began, cpu = time.perf_counter(), time.process_time()
                states.write()
                writing += (time.process_time() - cpu) * (second >= 60)
                writes += second >= 60
                last = time.perf_counter() - began
        found = list(database["drone_blocks"].aggregate([{"$group": {"_id": 0, "n": {"$sum": "$drones"}}}]))
        size = sum(len(one["block"]) for one in database["drone_blocks"].find({}, {"block": 1}))
        memory = psutil.Process().memory_info().rss / 1e6
        client.drop_database("bench_last_states")
    print("| drones | CPU s a minute, folding | CPU s a minute, writing | last write s | blocks MB | process MB |")
    print("|---|---|---|---|---|---|")
    print(f"| {found[0]['n']:,} | {folding:.1f} | {writing:.1f} | {last:.1f} | {size / 1e6:.1f} | {memory:,.0f} |")


if __name__ == "__main__":
    print(machine())
    with ExitStack() as opened:
        if len(sys.argv) > 1:
            main(sys.argv[1])
        else:
            home = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            server = mongo.start(home, ports.free_port())
            opened.callback(server.kill)
            main(server.uri)
