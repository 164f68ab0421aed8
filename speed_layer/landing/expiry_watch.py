"""Unlanded reports near their expiry: retention deletes them whether or not they are landed, so landing warns before.

By size, when the broker has begun to delete and more than half of what it keeps is not landed; by age, when the oldest
unlanded report has reached half of the topic's `retention.ms`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kafka import KafkaAdminClient
from structlog import get_logger

from infra.kafka.topics import configs_of
from speed_layer.landing import metrics

log = get_logger()

WATCH_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Backlog:
    """A partition at the broker, `beginning` to `end`, landed up to `next_offset`.

    `through`: the broker's time in ms of the last message that was read, 0 if none was.
    """

    beginning: int
    next_offset: int
    end: int
    through: int = 0

    @property
    def unlanded(self) -> int:
        return max(0, self.end - self.next_offset)

    def is_near_expiry(self, now_ms: int, retention_ms: int) -> bool:
        if not self.unlanded:
            return False
        by_size = self.beginning > 0 and self.unlanded * 2 > self.end - self.beginning
        by_age = retention_ms > 0 and self.through > 0 and (now_ms - self.through) * 2 > retention_ms
        return by_size or by_age


def warn(backlogs: Mapping[str, Backlog], retention_ms: int) -> list[str]:
    """The partitions with reports near their expiry; writes log and metrics."""
    now_ms = int(time.time() * 1000)
    near = [key for key, backlog in backlogs.items() if backlog.is_near_expiry(now_ms, retention_ms)]
    for key in near:
        log.error("unlanded reports are near their expiry", partition=key, unlanded=backlogs[key].unlanded)
    metrics.EXPIRING.set(len(near))
    metrics.UNLANDED.set(sum(backlog.unlanded for backlog in backlogs.values()))
    return near


def retention_ms(admin: KafkaAdminClient, topic: str) -> int:
    """The topic's `retention.ms`; -1 where nothing expires by age."""
    return int(configs_of(admin, [topic], "retention.ms")[topic]["retention.ms"])
