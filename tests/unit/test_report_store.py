"""The store of reports: only finished revisions are seen, and a revision says what it changed."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from fleet.errors import NewerLayout, ServiceUnavailable
from serving.report import facts, revision, strings
from serving.report.reader import Shelf
from serving.report.store import FORMS, DamagedReport, ReportStore, Revision
from tests.support import reports

CONTENT = {form: form.encode() for form in FORMS}


def test_newest_finished_revision_of_every_day_newest_first(tmp_path: Path) -> None:
    store = ReportStore(str(tmp_path))
    assert store.days() == []
    for day, number in ((date(2026, 11, 22), 0), (date(2026, 11, 23), 9), (date(2026, 11, 23), 10)):
        store.write(Revision(day, number), CONTENT)
    assert store.days() == [Revision(date(2026, 11, 23), 10), Revision(date(2026, 11, 22), 0)]
    assert store.newest(date(2026, 11, 23)) == Revision(date(2026, 11, 23), 10)
    assert store.newest(date(2026, 11, 21)) is None
    assert store.read(Revision(date(2026, 11, 23), 9), "pdf") == b"pdf"


def test_a_revision_whose_writing_was_cut_off_is_not_seen(tmp_path: Path) -> None:
    store = ReportStore(str(tmp_path))
    with pytest.raises(KeyError):
        store.write(Revision(reports.DAY, 0), {form: content for form, content in CONTENT.items() if form != "json"})
    assert list((tmp_path / "nightly" / str(reports.DAY) / "0").iterdir())
    assert store.days() == []


def test_foreign_files_next_to_reports_are_ignored(tmp_path: Path) -> None:
    store = ReportStore(str(tmp_path))
    store.write(Revision(reports.DAY, 0), CONTENT)
    for name in ("backup/0", "2026-11-23.old/0", "2026-13-45/0", f"{reports.DAY}/copy of 0", f"{reports.DAY}/0/1"):
        folder = tmp_path / "nightly" / name
        folder.mkdir(parents=True)
        (folder / "report.json").write_bytes(b"{}")
    emptied = tmp_path / "nightly" / str(reports.DAY) / "1"
    emptied.mkdir()
    (emptied / "report.json").write_bytes(b"")
    assert store.days() == [Revision(reports.DAY, 0)]
    assert store.newest(reports.DAY) == Revision(reports.DAY, 0)


def test_a_damaged_report_is_left_out_of_the_list_of_all(tmp_path: Path) -> None:
    store, other = ReportStore(str(tmp_path)), reports.DAY - timedelta(days=1)
    store.write(Revision(reports.DAY, 0), {**CONTENT, "json": b"{no json"})
    store.write(Revision(other, 0), {**CONTENT, "json": facts.to_json(reports.busy())})
    with pytest.raises(DamagedReport, match=f"^revision 0 of the report of {reports.DAY} is damaged: [^\n]+$"):
        store.facts(Revision(reports.DAY, 0))
    rows, following = Shelf(str(tmp_path)).page(None, 31)
    assert ([row["day"] for row in rows], following) == ([other.isoformat()], None)


def test_a_report_of_a_newer_version_is_left_out_too(tmp_path: Path) -> None:
    store, other = ReportStore(str(tmp_path)), reports.DAY - timedelta(days=1)
    store.write(Revision(other, 0), {**CONTENT, "json": facts.to_json(reports.busy())})
    store.write(Revision(reports.DAY, 0), {**CONTENT, "json": b'{"layout": 2, "day": 20781}'})
    said = f"^revision 0 of the report of {reports.DAY}: a nightly report has layout 2 and this version of Peacewatch"
    with pytest.raises(NewerLayout, match=said):
        store.facts(Revision(reports.DAY, 0))
    assert [row["day"] for row in Shelf(str(tmp_path)).page(None, 31)[0]] == [other.isoformat()]


def test_a_store_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    """A link that leads to itself in the place of the folder: all fail as with a full disk or an S3 that is away."""
    (tmp_path / "nightly").symlink_to("nightly")
    store, made = ReportStore(str(tmp_path)), Revision(reports.DAY, 0)
    for ask in (
        *(store.days, lambda: store.newest(reports.DAY)),
        *(lambda: store.read(made, "pdf"), lambda: store.write(made, CONTENT)),
    ):
        with pytest.raises(ServiceUnavailable, match=r"^the nightly reports cannot be read or written: .*symbolic"):
            ask()
    with pytest.raises(ServiceUnavailable, match=r"^the nightly reports cannot be read now$"):
        Shelf(str(tmp_path)).find(reports.DAY)


def test_a_revision_says_what_changed() -> None:
    before = reports.busy()
    after = msgspec.structs.replace(
        before, headline=msgspec.structs.replace(before.headline, reports=facts.Figure(13_000_000))
    )
    assert revision.changes(before, after) == [facts.Change("reports received", 12_960_000, 13_000_000)]
    assert revision.changes(before, before) == []


def test_a_revision_says_what_turned_out_to_be_lost() -> None:
    before = reports.busy()
    lost = msgspec.structs.replace(before.quality, lost=None, lost_alerts=70, losses=["a topic", "a gap"])
    after = msgspec.structs.replace(before, quality=lost)
    said = strings.revised(revision.changes(before, after))
    assert said == "reports lost at most 0 \u2192 unknown; alerts lost at most 0 \u2192 70."


def test_making_it_later_is_no_change() -> None:
    before = reports.busy()
    later = msgspec.structs.replace(before, making=msgspec.structs.replace(before.making, version=99_999))
    assert revision.same(before, later)
    assert not revision.same(before, msgspec.structs.replace(before, state="incomplete"))
