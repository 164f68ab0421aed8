"""A backup, put into an empty MongoDB: the API answers the same, figure by figure, also of days that were sealed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from pymongo import MongoClient

from batch_layer.job import Job
from batch_layer.retention import seal
from cli.commands import backup as commands
from fleet.alerts.alert import Alert
from fleet.errors import BadInput, NewerLayout, PeacewatchError, ServiceUnavailable
from fleet.notifications import incident
from fleet.notifications.actions import Action, Target
from fleet.notifications.delivery import Delivery
from fleet.reports.watermark import THROUGH
from infra.folder import Folder
from infra.mongo import backup, layouts
from infra.mongo.backup import Backup
from infra.mongo.client import Documents
from infra.mongo.incidents import action_updates, alert_updates, delivery_updates, incident_updates, notified_updates
from serving.app import create_app
from serving.config import Config
from serving.report.store import ReportStore, Revision
from serving.services import connect
from tests.support import lakes
from tests.support.batch_days import compute_all

START = datetime(2026, 11, 22, 3, tzinfo=UTC)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HISTORY = "minSnapshotHistoryWindowInSeconds"
DRONE_DAYS = "/api/v1/drones/drone-3/days?from=2026-11-22&to=2026-11-25"
ASKED = (
    "/api/v1/statistics/averages?from=2026-11-22&to=2026-11-25",
    "/api/v1/statistics/alerts-by-country?from=2026-11-22&to=2026-11-25",
    "/api/v1/statistics/series?from=2026-11-22&to=2026-11-25&group=hour",
    "/api/v1/statistics/low-battery?from=2026-11-22&to=2026-11-25",
    "/api/v1/statistics/cities?from=2026-11-22&to=2026-11-25",
    "/api/v1/places?from=2026-11-22&to=2026-11-25",
    DRONE_DAYS,
    "/api/v1/completeness?from=2026-11-22&to=2026-11-25",
    "/api/v1/alerts",
    "/api/v1/incidents",
    "/api/v1/actions",
)


@pytest.fixture
def job(tmp_path: Path, mongo_database: Documents) -> Job:
    """Four days, the first of them sealed; an alert that was notified, acknowledged and silenced; a nightly report."""
    lake = tmp_path / "lake"
    lakes.make(lake)
    end = int((START + timedelta(days=5)).timestamp() * 1000)
    through = msgspec.json.encode({"topic/0": end, "topic/1": end}).decode()
    lakes.land(lake, lakes.some_rows(200, hours=80, start=START), {THROUGH: through, "peacewatch.copies": "3"})
    job = Job(mongo_database, str(lake), lakes.arrow_engine, live_kept=timedelta(0))
    compute_all(job)
    seal.run(job, START.date())
    compute_all(job)
    record(mongo_database)
    forms = dict.fromkeys(("html", "pdf", "png", "json"), b"{}")
    ReportStore(str(lake)).write(Revision(date(2026, 11, 23), 0), forms)
    return job


def record(database: Documents) -> None:
    """As the recorder does."""
    alert = Alert("unrest/a/1", "unrest", "high", "unrest/France/Nice", "1", "a", START, START, "France", "Nice")
    opened = incident.first(alert)
    opened.alerts = 1
    delivery = Delivery("d1", "alerts", "post", "m1", START, [opened], [alert.alert_id], False, [0], [500], [900])
    silence = Action("x2", "silence", Target(city="Nice"), "Mara", NOW, "noise", NOW + timedelta(days=3))
    acknowledged = Action("x1", "acknowledge", Target(incident_id=opened.incident_id), "Mara", NOW)
    database.alerts.bulk_write([*alert_updates(alert, START), *notified_updates(delivery)])
    database.incidents.bulk_write(incident_updates(delivery))
    database.deliveries.bulk_write(delivery_updates(delivery))
    database.actions.bulk_write([*action_updates(acknowledged), *action_updates(silence)])


@pytest.fixture
def emptied(mongo_server_uri: str) -> Iterator[str]:
    """The URI of another, empty database."""
    yield mongo_server_uri.replace("/peacewatch?", "/restored_here?")
    with MongoClient[dict[str, Any]](mongo_server_uri) as client:
        client.drop_database("restored_here")


def answers(uri: str, lake: str) -> dict[str, Any]:
    config = Config(uri, lake=lake)
    services = connect(config)
    try:
        client: FlaskClient = create_app(config, services).test_client()
        found = {address: client.get(address).get_json() for address in ASKED}
    finally:
        services.close()
    assert all("detail" not in answer for answer in found.values()), found
    for day in found[DRONE_DAYS]["days"]:
        del day["version"]  # a day is computed again at a later version of the lake, with the same figures
    return {address: {k: v for k, v in answer.items() if k != "as_of"} for address, answer in found.items()}


def test_restored_into_an_empty_mongodb_the_api_answers_the_same(
    job: Job, mongo_uri: str, emptied: str, tmp_path: Path
) -> None:
    before = answers(mongo_uri, job.lake)
    taken = backup.take(job.database, Folder(job.lake), Folder(str(tmp_path / "kept")), NOW)
    assert taken.manifest.documents["actions"] == 2
    with MongoClient[dict[str, Any]](emptied, tz_aware=True) as client:
        database = client.get_default_database()
        backup.restore(database, Folder(job.lake), backup.newest(Folder(str(tmp_path / "kept"))))
        again = Job(database, job.lake, lakes.arrow_engine)
        compute_all(again)
        assert answers(emptied, job.lake) == before
        assert list(database.sealed.find({}, {"_id": 1})) == [{"_id": "2026-11-22"}]


def test_files_of_the_lake_are_put_back_where_they_are_missing(job: Job, emptied: str, tmp_path: Path) -> None:
    kept = Folder(str(tmp_path / "kept"))
    backup.take(job.database, Folder(job.lake), kept, NOW)
    archive = next((Path(job.lake) / "reports" / "_sealed").iterdir())
    report = Path(job.lake) / "nightly" / "2026-11-23" / "0" / "report.json"
    content = archive.read_bytes()
    archive.unlink()
    report.write_bytes(b'{"newer": 1}')
    with MongoClient[dict[str, Any]](emptied, tz_aware=True) as client:
        assert backup.restore(client.get_default_database(), Folder(job.lake), backup.newest(kept)) == 1
    assert archive.read_bytes() == content
    assert report.read_bytes() == b'{"newer": 1}', "what is there stays"


def test_a_backup_is_not_restored_over_what_is_there(job: Job, tmp_path: Path) -> None:
    kept = Folder(str(tmp_path / "kept"))
    taken = backup.take(job.database, Folder(job.lake), kept, NOW)
    with pytest.raises(PeacewatchError, match="MongoDB has documents in alerts: a backup is restored into an empty"):
        backup.restore(job.database, Folder(job.lake), taken)


def test_the_newest_finished_backup_is_taken(job: Job, tmp_path: Path) -> None:
    kept = Folder(str(tmp_path / "kept"))
    with pytest.raises(BadInput, match="there is none"):
        backup.newest(kept)
    for day in (0, 1):
        backup.take(job.database, Folder(job.lake), kept, NOW + timedelta(days=day))
    kept.write("20270101T000000Z/alerts-00000.bson.zst", b"died before its manifest")
    first, second = (folder.name for folder in sorted((tmp_path / "kept").iterdir())[:2])
    assert (first[:17], second[:17]) == ("20261128T120000Z-", "20261129T120000Z-")
    assert backup.newest(kept).name == second
    assert backup.newest(kept, first).manifest.made_at == NOW
    with pytest.raises(BadInput, match=f"there are {first}, {second}"):
        backup.newest(kept, "20270101T000000Z")


def test_a_backup_of_a_newer_version_is_refused(job: Job, emptied: str, tmp_path: Path) -> None:
    kept = Folder(str(tmp_path / "kept"))
    taken = backup.take(job.database, Folder(job.lake), kept, NOW)
    taken.manifest.layouts["incidents"] = 99
    with MongoClient[dict[str, Any]](emptied) as client:
        with pytest.raises(NewerLayout, match="the backup's incidents has layout 99 and this version of Peacewatch"):
            backup.restore(client.get_default_database(), Folder(job.lake), taken)
        assert client.get_default_database().list_collection_names() == []


def rewritten(kept: Folder, name: str, **changes: object) -> Backup:
    """The backup `name` with another manifest."""
    path = f"{name}/{backup.MANIFEST}"
    kept.write(path, msgspec.json.encode({**msgspec.json.decode(kept.read(path)), **changes}))
    return backup.newest(kept, name)


def test_a_damaged_backup_is_named_before_anything_is_written(job: Job, emptied: str, tmp_path: Path) -> None:
    kept = Folder(str(tmp_path / "kept"))
    taken = backup.take(job.database, Folder(job.lake), kept, NOW)
    files, hashes = taken.manifest.files, taken.manifest.sha256
    assert list(hashes) == files
    alerts = "alerts-00000.bson.zst"
    whole = kept.read(f"{taken.name}/{alerts}")

    def damaged(content: bytes, complaint: str, **changes: object) -> None:
        kept.write(f"{taken.name}/{alerts}", content)
        with MongoClient[dict[str, Any]](emptied) as client:
            with pytest.raises(PeacewatchError, match=complaint):
                backup.restore(client.get_default_database(), Folder(job.lake), rewritten(kept, taken.name, **changes))
            assert client.get_default_database().list_collection_names() == []
        rewritten(kept, taken.name, files=files, sha256=hashes, documents=taken.manifest.documents, layout=1)
        kept.write(f"{taken.name}/{alerts}", whole)

    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (b"", b"text", whole[:-1], flipped, whole + whole):
        damaged(content, f"{alerts} is damaged; take another backup by --name")
    for content in (b"text", whole[:-1], backup.packed([b"no BSON"])):  # a backup without hashes
        damaged(content, f"{alerts} is damaged: ", sha256={})
    damaged(backup.packed([]), "has 0 documents of alerts and its manifest names 1", sha256={})
    fewer = [path for path in files if path != alerts]
    damaged(whole, "has 0 documents of alerts and its manifest names 1", files=fewer)
    damaged(whole, "cannot be read", files=[*files, "alerts-00001.bson.zst"])
    for path in (
        "sessions-00000.bson.zst",
        "lake/reports/_delta_log/0.json",
        "../../x",
        "notes.txt",
        "",
        "lake/nightly/../../x",
    ):
        damaged(whole, "is none of a backup's files", files=[*files, path])
    damaged(whole, "the backup has layout 2 and this version of Peacewatch knows 1: upgrade it", layout=2)
    (tmp_path / "kept" / taken.name / next(path for path in files if path.startswith("lake/"))).write_bytes(b"torn")
    damaged(whole, "is damaged")


def test_backups_of_the_same_second_are_each_whole(job: Job, emptied: str, tmp_path: Path) -> None:
    """Two are taken into one folder at once, while the collections change."""
    kept, both = Folder(str(tmp_path / "kept")), threading.Barrier(2)

    class Waiting(Folder):
        """Both write each file at the same time."""

        def write(self, path: str, content: bytes) -> None:
            with suppress(threading.BrokenBarrierError):
                both.wait(10)
            job.database.incidents.insert_one({})
            super().write(path, content)

    def take() -> Backup:
        return backup.take(job.database, Folder(job.lake), Waiting(str(tmp_path / "kept")), NOW)

    with ThreadPoolExecutor(2) as pool:
        taken = [future.result() for future in [pool.submit(take) for _ in range(2)]]
    assert taken[0].name != taken[1].name
    for one in taken:
        with MongoClient[dict[str, Any]](emptied) as client:
            backup.restore(client.get_default_database(), Folder(job.lake), backup.newest(kept, one.name))
            assert client.get_default_database().actions.count_documents({}) == 2
            client.drop_database("restored_here")


def files_of(taken: Backup) -> Iterator[str]:
    yield from (f"{taken.name}/{path}" for path in (*taken.manifest.files, backup.MANIFEST))


def test_a_backup_whose_parts_come_from_two_is_damaged(job: Job, emptied: str, tmp_path: Path) -> None:
    kept = Folder(str(tmp_path / "kept"))
    first = backup.take(job.database, Folder(job.lake), kept, NOW)
    job.database.incidents.update_many({}, {"$set": {"alerts": 2}})
    second = backup.take(job.database, Folder(job.lake), kept, NOW + timedelta(hours=1))
    incidents = "incidents-00000.bson.zst"
    kept.write(f"{second.name}/{incidents}", kept.read(f"{first.name}/{incidents}"))
    hashes = {path: value for path, value in second.manifest.sha256.items() if path != incidents}
    for changes in ({}, {"sha256": hashes}):
        with MongoClient[dict[str, Any]](emptied) as client:
            with pytest.raises(BadInput, match=f"{incidents} is damaged"):
                backup.restore(client.get_default_database(), Folder(job.lake), rewritten(kept, second.name, **changes))
            assert client.get_default_database().list_collection_names() == []


class Failing(Folder):
    """A store that fails at its file number `at`, counted from 0: before it, or after it has written half of it."""

    def __init__(self, location: str, at: int, half: bool = False) -> None:
        super().__init__(location)
        self._at, self._half = at, half

    def write(self, path: str, content: bytes) -> None:
        if self._at == 0:
            if self._half:
                super().write(path, content[: len(content) // 2])
            raise ServiceUnavailable(f"{path} cannot be read or written: no space left on device")
        self._at -= 1
        super().write(path, content)


@pytest.mark.parametrize("half", [False, True])
def test_backup_interrupted_at_any_file_is_not_taken_for_whole(
    job: Job, emptied: str, tmp_path: Path, half: bool
) -> None:
    kept = Folder(str(tmp_path / "kept"))
    whole = backup.take(job.database, Folder(job.lake), kept, NOW)
    for number in range(len(list(files_of(whole)))):
        place = str(tmp_path / f"failing-{number}-{half}")
        with pytest.raises(ServiceUnavailable, match="no space left on device"):
            backup.take(job.database, Folder(job.lake), Failing(place, number, half), NOW)
        with pytest.raises(BadInput, match=r"there is none|is not the manifest of a backup"):
            backup.newest(Folder(place))
        backup.take(job.database, Folder(job.lake), Folder(place), NOW + timedelta(hours=1))
        with MongoClient[dict[str, Any]](emptied) as client:
            backup.restore(client.get_default_database(), Folder(job.lake), backup.newest(Folder(place)))
            client.drop_database("restored_here")


def test_file_that_changes_after_its_check_is_not_restored(job: Job, emptied: str, tmp_path: Path) -> None:
    class Torn(Folder):
        """Gives half of each file the second time."""

        def read(self, path: str) -> bytes:
            content = super().read(path)
            seen.append(path)
            return (
                content[: len(content) // 2] if seen.count(path) > 1 and not path.endswith(backup.MANIFEST) else content
            )

    seen: list[str] = []
    backup.take(job.database, Folder(job.lake), Folder(str(tmp_path / "kept")), NOW)
    taken = backup.newest(Torn(str(tmp_path / "kept")))
    with MongoClient[dict[str, Any]](emptied) as client:
        with pytest.raises(BadInput, match="is damaged"):
            backup.restore(client.get_default_database(), Folder(job.lake), taken)
        with pytest.raises(ServiceUnavailable, match="has not ended"):
            layouts.require(client.get_default_database())


class Died(Exception):
    pass


class Dying(Folder):
    """A lake or a backup's folder whose process dies at its call number `at` of `what`, counted from 0."""

    def __init__(self, location: str, what: str, at: int) -> None:
        super().__init__(location)
        self._what, self._at = what, at

    def read(self, path: str) -> bytes:
        self._count("read")
        return super().read(path)

    def write(self, path: str, content: bytes) -> None:
        self._count("write")
        super().write(path, content)

    def _count(self, what: str) -> None:
        if what == self._what:
            if self._at == 0:
                raise Died
            self._at -= 1


def test_killed_restore_is_used_by_nobody_until_it_is_dropped_and_repeated(
    job: Job, mongo_uri: str, emptied: str, tmp_path: Path
) -> None:
    kept, before = str(tmp_path / "kept"), answers(mongo_uri, job.lake)
    taken = backup.take(job.database, Folder(job.lake), Folder(kept), NOW)
    many = len(taken.manifest.files)
    died = 0
    with MongoClient[dict[str, Any]](emptied, tz_aware=True) as client:
        database = client.get_default_database()
        for what, number in [("read", each) for each in range(many, 2 * many)] + [("write", 0), ("write", 1)]:
            source = Dying(kept, "read", number) if what == "read" else Folder(kept)
            lost = str(tmp_path / f"lost-{what}-{number}")
            lake = Dying(lost, "write", number) if what == "write" else Folder(lost)
            with pytest.raises(Died):
                backup.restore(database, lake, Backup(source, taken.name, taken.manifest))
            unfinished = f"a restore of the backup {taken.name} into this MongoDB has not ended"
            with pytest.raises(ServiceUnavailable, match=unfinished):
                layouts.claim(database)
            with pytest.raises(ServiceUnavailable, match=unfinished):
                backup.restore(database, Folder(job.lake), taken)
            with pytest.raises(ServiceUnavailable, match=unfinished):
                backup.take(database, Folder(job.lake), Folder(kept), NOW)
            client.drop_database("restored_here")
            died += 1
        assert died > 5
        backup.restore(database, Folder(job.lake), taken)
        layouts.claim(database)
        compute_all(Job(database, job.lake, lakes.arrow_engine))
        assert answers(emptied, job.lake) == before


def test_one_of_two_restores_at_once_ends(job: Job, emptied: str, tmp_path: Path) -> None:
    taken = backup.take(job.database, Folder(job.lake), Folder(str(tmp_path / "kept")), NOW)
    both = threading.Barrier(2)

    class Waiting(Folder):
        """Both have seen the empty database before either writes."""

        def read(self, path: str) -> bytes:
            with suppress(threading.BrokenBarrierError):
                both.wait(2)
            return super().read(path)

    def restore_it() -> int:
        with MongoClient[dict[str, Any]](emptied) as client:
            source = Backup(Waiting(str(tmp_path / "kept")), taken.name, taken.manifest)
            return backup.restore(client.get_default_database(), Folder(job.lake), source)

    with ThreadPoolExecutor(2) as pool:
        ended = [future.exception() for future in [pool.submit(restore_it) for _ in range(2)]]
    (refused,) = [error for error in ended if error is not None]
    assert isinstance(refused, ServiceUnavailable)
    with MongoClient[dict[str, Any]](emptied) as client:
        assert client.get_default_database().actions.count_documents({}) == 2


def test_a_database_with_any_document_is_not_empty(job: Job, emptied: str, tmp_path: Path) -> None:
    taken = backup.take(job.database, Folder(job.lake), Folder(str(tmp_path / "kept")), NOW)
    with MongoClient[dict[str, Any]](emptied) as client:
        for collection in layouts.COLLECTIONS.keys() - backup.STAY:
            database = client.get_default_database()
            database[collection].insert_one({})
            with pytest.raises(PeacewatchError, match=f"MongoDB has documents in {collection}: "):
                backup.restore(database, Folder(job.lake), taken)
            assert database.list_collection_names() == [collection]
            client.drop_database("restored_here")


@pytest.mark.parametrize("below", ["", "reports", "reports/_sealed", "nightly/backups", "../lake", "backups"])
def test_a_destination_in_the_lake_is_refused(mongo_database: Documents, tmp_path: Path, below: str) -> None:
    lakes.make(tmp_path / "lake")
    to = Folder(str(tmp_path / "lake" / below))
    before = files_below(tmp_path)
    with pytest.raises(BadInput, match="--to: lies in the lake "):
        backup.take(mongo_database, Folder(str(tmp_path / "lake")), to, NOW)
    assert files_below(tmp_path) == before


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_lake_that_is_not_there_is_named(mongo_database: Documents, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="PEACEWATCH_LAKE: there is no lake at "):
        backup.take(mongo_database, Folder(str(tmp_path / "typo")), Folder(str(tmp_path / "kept")), NOW)
    assert files_below(tmp_path) == []


def test_copies_of_old_backups_deeper_in_the_folder_are_no_backups(mongo_database: Documents, tmp_path: Path) -> None:
    lakes.make(tmp_path / "lake")
    kept = Folder(str(tmp_path / "kept"))
    kept.write(f"old/20270101T000000Z/{backup.MANIFEST}", b"{}")
    kept.write(backup.MANIFEST, b"{}")
    taken = backup.take(mongo_database, Folder(str(tmp_path / "lake")), kept, NOW)
    assert backup.newest(kept).name == taken.name


@pytest.mark.parametrize("place", ["", "~/backups", "s3:/bucket", "gs://bucket"])
def test_invalid_location_is_named_by_its_option(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"--to: is a folder, without ~, or s3://bucket/path"):
        commands.backup(place)
    with pytest.raises(BadInput, match=r"--from: is a folder, without ~, or s3://bucket/path"):
        commands.restore(place)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_outlasts_mongodbs_history_says_which_parameter(job: Job, mongo_uri: str, tmp_path: Path) -> None:
    class Slow(Folder):
        """A store so slow that MongoDB's history ends while it takes the first file."""

        def write(self, path: str, content: bytes) -> None:
            super().write(path, content)
            for number in range(4):
                job.database.elsewhere.insert_one({"n": number})
                time.sleep(0.5)

    with MongoClient[dict[str, Any]](mongo_uri) as client:
        before = client.admin.command("getParameter", 1, minSnapshotHistoryWindowInSeconds=1)[HISTORY]
        client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=0)
        try:
            with pytest.raises(ServiceUnavailable, match=HISTORY):
                backup.take(job.database, Folder(job.lake), Slow(str(tmp_path / "kept")), NOW)
        finally:
            client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=before)


def test_restore_creates_no_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--from: no such folder"):
        commands.restore(str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_many_documents_are_kept_in_files_of_a_bounded_size(
    mongo_database: Documents, tmp_path: Path, emptied: str
) -> None:
    text = "x" * 1_000_000
    mongo_database.incidents.insert_many([{"_id": f"{number:03}", "heard": text} for number in range(70)])
    lakes.make(tmp_path / "lake")
    lake, kept = Folder(str(tmp_path / "lake")), Folder(str(tmp_path / "kept"))
    taken = backup.take(mongo_database, lake, kept, NOW)
    assert [path for path in taken.manifest.files if path.startswith("incidents")] == [
        f"incidents-{number:05}.bson.zst" for number in range(3)
    ]
    with MongoClient[dict[str, Any]](emptied) as client:
        database = client.get_default_database()
        backup.restore(database, lake, taken)
        assert database.incidents.count_documents({"heard": text}) == 70


def test_every_collection_is_kept_or_computed_again() -> None:
    computed = {
        "hours",
        "day_roll_ups",
        "live",
        "live_parts",
        "view_parts",
        "drone_days",
        "drones_by_day",
        "copies",
        "sealed",
    }
    computed |= {"city_days", "place_days", "delay_days", "alert_days"}
    passing = {"report_turns", "layouts", "landing_problems", "sessions"}
    assert backup.KEPT.keys() | computed | passing == layouts.COLLECTIONS.keys()
