"""A backup, put into an empty MongoDB: the API answers the same, figure by figure, also of days that were sealed."""

from __future__ import annotations

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
from fleet.alerts.alert import Alert
from fleet.errors import BadInput, NewerLayout, PeacewatchError
from fleet.notifications import incident
from fleet.notifications.actions import Action, Target
from fleet.notifications.delivery import Delivery
from fleet.reports.watermark import THROUGH
from infra.folder import Folder
from infra.mongo import backup, layouts
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
        with pytest.raises(NewerLayout, match="the backup's incidents has layout 99 and this version knows 1"):
            backup.restore(client.get_default_database(), Folder(job.lake), taken)
        assert client.get_default_database().list_collection_names() == []


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
