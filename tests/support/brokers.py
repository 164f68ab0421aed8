"""Three real brokers in one cluster (KRaft, replication 3, two of three must have a message), on loopback, small.

Each is broker and controller in one process. One can be killed, frozen, and started again with its data; a cluster made
over the folder of an earlier one has its data and its ports.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from kafka.errors import KafkaError

from infra.kafka import clients
from laptop import ports
from laptop.services import kafka as local
from laptop.supervision import processes

NODES: Final = (1, 2, 3)
REPLICATION: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    # A frozen broker leaves the replicas in sync after this, and its partitions go on without it.
    "replica.lag.time.max.ms": "5000",
    # A quorum on one busy machine: at the usual second and two, elections disturb each other.
    "controller.quorum.election.timeout.ms": "3000",
    "controller.quorum.fetch.timeout.ms": "5000",
    "broker.session.timeout.ms": "6000",
}


class Brokers:
    """A cluster below `home`. `address` names all three, for clients."""

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(parents=True, exist_ok=True)
        kept = home / "cluster.json"
        if not kept.exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            numbers = {str(node): [ports.free_port(), ports.free_port()] for node in NODES}
            kept.write_text(json.dumps({"cluster": cluster, "ports": numbers}))
        known = json.loads(kept.read_text())
        self._cluster: str = known["cluster"]
        self._ports: dict[int, tuple[int, int]] = {int(node): tuple(pair) for node, pair in known["ports"].items()}
        self.address = ",".join(f"127.0.0.1:{self._ports[node][0]}" for node in NODES)
        self.nodes: dict[int, processes.Child] = {}

    def start(self, *nodes: int) -> None:
        """Starts these, or all, and returns when they are in the cluster."""
        for node in nodes or NODES:
            command = self._command(node)
            self.nodes[node] = processes.start(f"Kafka {node}", command, self._home / f"{node}.log")
        for node in nodes or NODES:
            self.nodes[node].wait_ready(lambda: self.in_cluster() >= set(self.nodes), 2 * local.START_SECONDS)

    def kill(self, node: int) -> None:
        """With SIGKILL."""
        self.nodes.pop(node).kill()

    def freeze(self, node: int) -> None:
        os.killpg(self.nodes[node].pid, signal.SIGSTOP)

    def wake(self, node: int) -> None:
        os.killpg(self.nodes[node].pid, signal.SIGCONT)

    def close(self) -> None:
        for child in self.nodes.values():
            child.kill()
        self.nodes.clear()

    def in_cluster(self) -> set[int]:
        """The brokers that the controller counts; none while nobody answers."""
        try:
            with closing(clients.admin(self.address, request_timeout_ms=5000)) as admin:
                return {one["broker_id"] for one in admin.describe_cluster()["brokers"]}
        except KafkaError:
            return set()

    def partitions(self, topic: str) -> list[dict[str, Any]]:
        """Each with `partition_index`, `leader_id`, `replica_nodes` and `isr_nodes`, by index."""
        with closing(clients.admin(self.address)) as admin:
            found: list[dict[str, Any]] = admin.describe_topics([topic])[0]["partitions"]
        return sorted(found, key=lambda partition: partition["partition_index"])

    def in_sync(self, *topics: str) -> bool:
        """Whether every partition of these topics has all its replicas, as far as anybody answers."""
        try:
            return all(len(one["isr_nodes"]) == len(NODES) for topic in topics for one in self.partitions(topic))
        except KafkaError:
            return False

    def _command(self, node: int) -> list[str]:
        home, (port, controller) = self._home / str(node), self._ports[node]
        command = local.prepare(home, port, "127.0.0.1", self._home / f"{node}.log")
        file = Path(command[-1])
        settings = dict(line.partition("=")[::2] for line in file.read_text().splitlines())
        settings |= REPLICATION | {
            "node.id": str(node),
            "controller.quorum.voters": ",".join(f"{one}@127.0.0.1:{self._ports[one][1]}" for one in NODES),
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        }
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._name_the_cluster(home / "kafka" / "data" / "meta.properties", node)
        return command

    def _name_the_cluster(self, file: Path, node: int) -> None:
        """`prepare` has formatted the folder as that of a node 1 in a cluster of its own."""
        lines = dict(line.partition("=")[::2] for line in file.read_text().splitlines() if line[:1] != "#")
        lines |= {"cluster.id": self._cluster, "node.id": str(node)}
        file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))


@contextmanager
def three_brokers(home: Path) -> Iterator[Brokers]:
    """Started; nothing of them is left at the end."""
    cluster = Brokers(home)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
