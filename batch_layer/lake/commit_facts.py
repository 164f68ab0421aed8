"""Facts of landing in commits, added up by day of commit: `landing_facts`, and `losses`.

How far each partition is landed, duplicates dropped, rejected messages by reason: each commit is counted once, because
a run's end and its sums are one transaction. These facts are in no row, only in the log. So before the log is trimmed,
the sums up to the last run are kept in the lake (`_facts/`), and a run in a database that knows less continues from
there.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Final

from pymongo.client_session import ClientSession

from batch_layer.job import Job
from batch_layer.lake import documents as lake_documents
from batch_layer.lake import losses
from fleet.errors import PeacewatchError
from fleet.reports.watermark import newest_topic
from infra.delta import TABLE, Snapshot
from infra.mongo import landing_facts, runs
from infra.mongo import losses as stored_losses
from infra.mongo.client import Documents
from infra.mongo.runs import Run

REJECTED: Final = "peacewatch.rejected"
DUPLICATES: Final = "peacewatch.copies"
"""Facts of a commit: {reason: number}, number."""

FOLDER: Final = "_facts"
_VERSION: Final = r"\d{20}"


def add_up(
    job: Job,
    pinned: Snapshot,
    base: int,
    days: Iterable[date],
    failpoint: Callable[[str], None] = lambda _step: None,
) -> None:
    """Adds the commits after `base`; `days` are still to be looked at, should this run die.

    `failpoint` is called when the losses are "inserted" and the sums are not written yet. Raises PeacewatchError if
    another run has added up some of them.
    """
    commits = pinned.commits_left(base)
    if not commits:
        return
    duplicates: Counter[str] = Counter()
    rejected: dict[str, Counter[str]] = defaultdict(Counter)
    for commit in commits:
        day = commit.committed_at.date().isoformat()
        duplicates[day] += commit.fact(DUPLICATES, 0)
        rejected[day].update(commit.fact(REJECTED, {}))
    through = landing_facts.landed_through(job.database)
    since = stored_losses.recreated_topics(job.database, TABLE)
    stored_losses.insert(job.database, losses.found(commits, through, since=since))
    failpoint("inserted")
    changes: dict[str, Mapping[str, Any]] = {
        day: {"$inc": {"copies": duplicates[day], **{f"rejected.{reason}": many for reason, many in reasons.items()}}}
        for day, reasons in rejected.items()
    }
    if through:  # for a topic that was created again, no old partition is waited for
        changes[landing_facts.REPORTS] = {"$set": {"partitions": newest_topic(through)}}
    _complete(job, pinned, (base, pinned.version), changes, days)


def restore(job: Job, pinned: Snapshot, base: int, days: Iterable[date]) -> int:
    """The base to continue from: that of the sums kept in the lake, which are restored, if it is later than
    `base`."""
    kept = _kept(pinned)
    if not kept or kept[-1] <= base:
        return base
    documents = lake_documents.read(pinned, _path(kept[-1]))
    stored_losses.insert(job.database, (each["document"] for each in documents if each["view"] == "losses"))
    sums = [each["document"] for each in documents if each["view"] == "landing_facts"]
    changes = {document.pop("_id"): {"$set": document} for document in sums}
    _complete(job, pinned, (base, kept[-1]), changes, days)
    return kept[-1]


def keep(database: Documents, pinned: Snapshot, needed: int) -> None:
    """Writes the sums of all commits up to the last run's into the lake, once for the commits up to `needed`.

    Raises ServiceUnavailable, and PeacewatchError if the database has forgotten them meanwhile.
    """
    kept = _kept(pinned)
    if kept and kept[-1] >= needed:
        return

    def read(session: ClientSession) -> tuple[int, list[dict[str, Any]]]:
        documents = [
            {"view": view, "document": document}
            for view, without in (("landing_facts", {}), ("losses", {"told": False}))
            for document in database[view].find({}, without or None, session=session).sort("_id")
        ]
        return runs.base_version(database, kind="completeness", session=session), documents

    with database.client.start_session() as session:
        base, documents = session.with_transaction(read)
    if base < needed:
        raise PeacewatchError("a rebuild is running; nothing is trimmed, run it again")
    lake_documents.write(pinned, _path(base), documents)
    for version in kept:
        pinned.store.delete_file(_path(version))


def _complete(
    job: Job, pinned: Snapshot, versions: tuple[int, int], changes: dict[str, Any], days: Iterable[date]
) -> None:
    base, version = versions
    this = Run(uuid.uuid4().hex, "completeness", version, job.now(), 0, pinned.lake_id)
    names = [day.isoformat() for day in sorted(days)]
    runs.complete_with(job.database, this, job.now(), changes, base, days=names)


def _kept(pinned: Snapshot) -> list[int]:
    return [int(name) for name in lake_documents.names(pinned, FOLDER, _VERSION)]


def _path(version: int) -> str:
    return lake_documents.path(FOLDER, f"{version:020}")
