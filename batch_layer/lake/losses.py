"""Messages that were lost before they landed, from the facts of commits: one document each in `losses`.

The commit that moves a partition's `txn` entry over the gap records it, so there is one such commit whatever landed
and whatever was killed. The first writing of a document stays: what is known of the time before the gap only grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final

from fleet.reports import losses
from fleet.reports.watermark import CLOCKS_APART, THROUGH, newest_topic, topic_of
from infra.delta import TABLE, Commit
from infra.mongo.client import Documents

_NONE: Final[Mapping[str, int | None]] = MappingProxyType({})


def found(
    commits: Iterable[Commit], known: dict[str, int], table: str = TABLE, since: Mapping[str, int | None] = _NONE
) -> Iterator[dict[str, Any]]:
    """The losses that `commits` record, in order.

    `known`: how far each partition was landed before them, ms by key; it is brought up to what they say. `since`: for
    topics that were created again before them (`infra.mongo.losses.recreated_topics`), how far the
    topic before had landed.
    """
    floor = {**_least(known), **since}
    for commit in commits:
        through: dict[str, int] = commit.fact(THROUGH, {})
        before: dict[str, int] = commit.fact(losses.LOST_BEFORE, {})
        earlier = min(newest_topic(known).values(), default=None)
        for topic_id in sorted({topic_of(key) for key in through} - {topic_of(key) for key in known}):
            floor[topic_id] = earlier
            first = {key: ms for key, ms in through.items() if topic_of(key) == topic_id}
            # An older time is from a lander of the former topic.
            if known and max(first.values()) > max(known.values()):
                yield _created_again(table, topic_id, known, first, commit)
        for key, offsets in commit.fact(losses.LOST, {}).items():
            until = before.get(key, through.get(key))
            after = known.get(key, _not_beyond(until, floor.get(topic_of(key), earlier)))
            yield _expired(table, key, offsets, (after, until), commit)
        for key, ms in through.items():
            known[key] = max(known.get(key, 0), ms)


def days(database: Documents, those: Iterable[dict[str, Any]]) -> set[date]:
    """The days that these losses may belong to. If the beginning of one is unknown, these are all days with a document
    up to its end.
    """
    those = list(those)
    open_ended = [loss["before"] for loss in those if loss["after"] is None]
    there = database.completeness.find({"_id": {"$lte": max(open_ended).date().isoformat()}}) if open_ended else ()
    return {day for loss in those for day in losses.days_of(loss)} | {date.fromisoformat(each["_id"]) for each in there}


def _least(known: Mapping[str, int]) -> dict[str, int]:
    """For each topic the watermark of the partition that is landed least far. A partition that appears later was added
    since, or was created again with the topic and landed by another process.
    """
    least: dict[str, int] = {}
    for key, ms in known.items():
        least[topic_of(key)] = min(ms, least.get(topic_of(key), ms))
    return least


def _not_beyond(until: int | None, floor: int | None) -> int | None:
    """`floor`, unless it is after `until`: then the partition is older than all that were landed, and its beginning is
    unknown.
    """
    return None if floor is None or (until is not None and floor > until) else floor


def _expired(
    table: str, key: str, offsets: list[int], times: tuple[int | None, int | None], commit: Commit
) -> dict[str, Any]:
    after, before = times
    return {
        "_id": f"{table}/{key}/{offsets[0]}",
        "table": table,
        "topic_id": topic_of(key),
        "partition": int(key.rpartition("/")[2]),
        "first": offsets[0],
        "next": offsets[1],
        "messages": offsets[1] - offsets[0],
        "after": None if after is None else _time(after),
        "before": commit.committed_at if before is None else _time(before),
        "noticed_at": commit.committed_at,
        "version": commit.version,
    }


def _created_again(
    table: str, topic_id: str, known: dict[str, int], first: dict[str, int], commit: Commit
) -> dict[str, Any]:
    """What the topic before held after the last that was landed of it, and before this one was made."""
    return {
        "_id": f"{table}/{topic_id}",
        "table": table,
        "topic_id": topic_id,
        **dict.fromkeys(("partition", "first", "next", "messages")),
        "after": _time(min(newest_topic(known).values())),
        "before": _time(min(first.values())) + CLOCKS_APART,
        "noticed_at": commit.committed_at,
        "version": commit.version,
    }


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
