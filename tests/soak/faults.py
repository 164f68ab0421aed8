"""The faults, each with its end: what is killed is started again, what is frozen wakes, what is full has room again."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from kafka.admin import NewPartitions

from infra.kafka import clients
from tests.soak.worlds import COMMANDS, Worlds

HOLD_SECONDS: Final = 25
"""How long a fault lasts: longer than the session of a consumer (10 s), a broker (6 s) and a MongoDB election."""

HOUR: Final = 3600
MOST_PARTITIONS: Final = 12

End = Callable[[], object]
Fault = Callable[[Worlds], End]


def drawn(seed: int, number: int) -> str:
    """The name of the fault of that number: the same for the same seed, also in a later piece.

    Each round of as many faults as there are holds every one once, in another order.
    """
    round_, place = divmod(number, len(FAULTS))
    names = sorted(FAULTS)
    random.Random(f"{seed}/{round_}").shuffle(names)
    return names[place]


def _killed(name: str) -> Fault:
    def fault(worlds: Worlds) -> End:
        worlds.product.kill(name)
        return lambda: worlds.product.start(name.partition(":")[0], name)

    return fault


def _frozen(name: str) -> Fault:
    def fault(worlds: Worlds) -> End:
        worlds.product.freeze(name)
        return lambda: worlds.product.wake(name)

    return fault


def _webhook(mode: str, **more: float) -> Fault:
    def fault(worlds: Worlds) -> End:
        worlds.product.control("fail", mode=mode, times=-1, **more)
        return lambda: worlds.product.control("reset")

    return fault


def _clock(seconds: int) -> Fault:
    """A second fleet, whose clocks are off."""

    def fault(worlds: Worlds) -> End:
        other = worlds.load(len(worlds.loads), ahead=seconds, rate=max(10, worlds.rate // 10))
        return other.stop

    return fault


def _leader_killed(worlds: Worlds) -> End:
    node = worlds.brokers.partitions("reports")[0]["leader_id"]
    worlds.brokers.kill(node)
    return lambda: worlds.brokers.start(node)


def _broker_frozen(worlds: Worlds) -> End:
    node = worlds.brokers.partitions("alerts")[0]["leader_id"]
    worlds.brokers.freeze(node)
    return lambda: worlds.brokers.wake(node)


def _primary_killed(worlds: Worlds) -> End:
    port = worlds.mongo.kill_primary()
    return lambda: worlds.mongo.restart(port)


def _worker_killed(worlds: Worlds) -> End:
    worlds.spark.kill_worker()
    return worlds.spark.start_worker


def _driver_killed(worlds: Worlds) -> End:
    with suppress(KeyError):  # between two runs
        worlds.product.kill("aggregate")
    return lambda: None


def _store_away(worlds: Worlds) -> End:
    worlds.store.kill()
    return worlds.store.start


def _disk_full(worlds: Worlds) -> End:
    ballast = worlds.store.data.parent / "ballast"
    _fill(ballast)

    def end() -> None:
        """Its volumes are read-only for the rest of its life, so who makes room must start it again."""
        ballast.unlink(missing_ok=True)
        worlds.store.kill()
        worlds.store.start()

    return end


def _fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def _partition_added(worlds: Worlds) -> End:
    there = len(worlds.brokers.partitions("reports"))
    if there < MOST_PARTITIONS:
        with closing(clients.admin(worlds.brokers.address)) as admin:
            admin.create_partitions({"reports": NewPartitions(there + 1)})
    return lambda: None


FAULTS: Final[dict[str, Fault]] = {
    **{f"{name} killed": _killed(name) for name in (*COMMANDS, "serve")},
    **{f"{name} frozen": _frozen(name) for name in (*COMMANDS, "serve")},
    "broker leader killed": _leader_killed,
    "broker leader frozen": _broker_frozen,
    "MongoDB primary killed": _primary_killed,
    "Spark worker killed": _worker_killed,
    "Spark driver killed": _driver_killed,
    "S3 away": _store_away,
    "S3's disk full": _disk_full,
    "webhook answers 429": _webhook("429", seconds=5),
    "webhook answers 500": _webhook("500"),
    "webhook answers HTML": _webhook("html"),
    "webhook is silent": _webhook("slow-before", seconds=20),
    "a fleet's clocks an hour ahead": _clock(HOUR),
    "a fleet's clocks an hour behind": _clock(-HOUR),
    "a partition added": _partition_added,
}
