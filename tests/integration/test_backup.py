"""A backup, put into an empty MongoDB: the API answers the same, figure by figure, also of days that were sealed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from pymongo import MongoClient

from batch_layer.job import Job
from batch_layer.retention import seal
from cli.commands.backup import restore
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
    assert backup.newest(kept).name == "20261129T120000Z"
    assert backup.newest(kept, "20261128T120000Z").manifest.made_at == NOW
    with pytest.raises(BadInput, match="there are 20261128T120000Z, 20261129T120000Z"):
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
    for path in ("sessions-00000.bson.zst", "lake/reports/_delta_log/0.json", "../../x", "notes.txt", ""):
        damaged(whole, "is none of a backup's files", files=[*files, path])
    damaged(whole, "the backup has layout 2 and this version of Peacewatch knows 1: upgrade it", layout=2)
    (tmp_path / "kept" / taken.name / next(path for path in files if path.startswith("lake/"))).write_bytes(b"torn")
    damaged(whole, "is damaged")


def test_a_backup_of_the_same_second_is_not_mixed_with_another(job: Job, tmp_path: Path) -> None:
    kept = Folder(str(tmp_path / "kept"))
    backup.take(job.database, Folder(job.lake), kept, NOW)
    with pytest.raises(PeacewatchError, match="there is a backup 20261128T120000Z, finished or not"):
        backup.take(job.database, Folder(job.lake), kept, NOW)


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


def test_a_folder_that_is_not_there_is_not_made_by_a_restore(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--from: no such folder"):
        restore(str(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_many_documents_are_kept_in_files_of_a_bounded_size(
    mongo_database: Documents, tmp_path: Path, emptied: str
) -> None:
    text = "x" * 1_000_000
    mongo_database.incidents.insert_many([{"_id": f"{number:03}", "heard": text} for number in range(70)])
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
