"""The parts of the main job that need no stack: the source, the steps, the channel's count, the summary."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fleet.errors import BadInput, ServiceUnavailable
from fleet.notifications.message import digest_embed
from fleet.reports.report import check_time, decode
from laptop.demo.channel import count
from laptop.demo.source import ROUND_REPORTS, of_file, of_round
from laptop.demo.steps import Steps
from laptop.demo.summary import STATISTICS, Summary
from laptop.demo.tables import show
from laptop.feed.replay import reports
from laptop.feed.run import Recording
from tests.support import oracle

NOW = datetime(2026, 11, 24, 10, 43, tzinfo=UTC)


def embed(title: Any, alerts: Any, description: str = "") -> Any:
    return {"title": title, "description": description, "fields": [{"name": "Alerts", "value": str(alerts)}]}


@pytest.mark.parametrize(
    ("embeds", "expected"),
    [
        ([], {}),
        ([{"title": "no field"}], {}),
        ([embed("Unrest in Oslo, Norway", 7)], {"unrest": 7}),
        ([embed("Resolved: Unrest in Oslo, Norway", 7), embed("Quiet: Unrest in Paris", 2)], {"unrest": 9}),
        ([embed("Unrest · high", 1), embed("Low battery in Bern, Switzerland", 2)], {"unrest": 1, "low_battery": 2}),
        (
            [
                embed(
                    "12 alerts more", 12, "**5** unrest · high · Oslo · a … b\n**3** low battery · moderate · Bern · c"
                )
            ],
            {"unrest": 5, "low_battery": 3, "other": 4},
        ),
    ],
)
def test_alerts_that_messages_stand_for(embeds: Any, expected: Any) -> None:
    assert count(embeds) == expected


def test_a_digest_as_the_product_writes_it_is_counted_by_kind() -> None:
    from fleet.notifications.delivery import Digest, DigestRow  # noqa: PLC0415

    rows = [
        DigestRow("unrest", "high", "Norway", "Oslo", 5, "a", "b"),
        DigestRow("unrest", "moderate", "Chad", "Sarh", 1, "c", "c"),
    ]
    written = digest_embed(Digest(6, NOW, NOW, rows), "http://127.0.0.1:1")
    fields = [{"name": name, "value": value} for name, value in written.fields]
    assert count([{"title": written.title, "description": written.description, "fields": fields}]) == {"unrest": 6}


def test_the_source_of_a_file_is_its_reports_and_days(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    oracle.write(path, oracle.like_the_original(3000))
    recording = Recording(path, oracle.start_of(2021), "fleet")
    with of_file(recording) as source:
        sent = [decode(value, NOW) for _, value in source.messages()]
    text = io.StringIO(path.read_text(encoding="utf-8"), newline="")
    assert sent == list(reports(text, oracle.start_of(2021), "fleet"))
    assert (source.total, source.first, source.last) == (3000, date(2021, 3, 22), date(2021, 3, 24))


def test_a_wrong_file_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    oracle.write(path, [*oracle.like_the_original(5), {**oracle.like_the_original(1)[0], "Battery": "full"}])
    with pytest.raises(BadInput, match=r"rows.csv, line 7, column Battery"), of_file(Recording(path, NOW, "drone")):
        pass


def test_the_simulated_round_is_of_the_past_and_the_same_again() -> None:
    with of_round(3, NOW) as one, of_round(3, NOW) as two:
        found = list(one.messages())
        assert found == list(two.messages())
    assert len(found) == one.total == ROUND_REPORTS
    for _, value in found:
        check_time(decode(value, NOW).reported_at, NOW)
    assert one.first == date(2026, 11, 23)


def broken() -> bool:
    raise KeyError("x")


def test_steps_are_timed_said_and_named_when_they_fail(tmp_path: Path) -> None:
    out = io.StringIO()
    steps = Steps(Console(file=out, width=200), tmp_path)
    with steps.step("send", "Sending reports", "kafka.log"):
        steps.say("nobody watches")
    assert list(steps.seconds) == ["send"]
    assert out.getvalue() == "Sending reports: done in 0.0 s\n"
    log = tmp_path / "landing.log"
    with (
        pytest.raises(ServiceUnavailable, match=f"Landing: not done after 0 s; its log is {log}"),
        steps.step("land", "Landing", "landing.log"),
    ):
        steps.until(lambda: False, 0)
    with (
        pytest.raises(ServiceUnavailable, match="Landing: KeyError: 'x'; its log is"),
        steps.step("land", "Landing", "landing.log"),
    ):
        steps.until(broken, 10)
    assert list(steps.seconds) == ["send"]


def test_the_summary_has_the_form_that_checks_read(tmp_path: Path) -> None:
    rows = oracle.like_the_original(500)
    answers, _ = oracle.answers(rows, oracle.start_of(2021), "fleet")
    summary = Summary(500, 499, 1, {"unrest": 40}, {"unrest": 40}, 9, answers, {"start": 1.234, "send": 0.5})
    path = tmp_path / "new" / "out.json"
    summary.write(path)
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "reports": {"sent": 500, "landed": 499, "rejected": 1},
        "alerts": {"raised": {"unrest": 40}, "delivered": {"unrest": 40}, "messages": 9},
        "statistics": {name: answers[name] for name in STATISTICS},
        "seconds": {"start": 1.2, "send": 0.5},
    }
    with pytest.raises(BadInput, match="--summary"):
        summary.write(path / "below a file")


def test_the_tables_show_every_answer() -> None:
    out = io.StringIO()
    rows = oracle.like_the_original(500)
    answers, _ = oracle.answers(rows, oracle.start_of(2021), "fleet")
    show(Summary(12_345, 500, 0, {"unrest": 40}, {}, 0, answers), Console(file=out, width=160))
    shown = out.getvalue()
    for text in (
        "12,345",
        "Alerts by part",
        "Countries",
        "Averages",
        "Monday",
        "weekend",
        "Battery below 20 %",
        "score",
    ):
        assert text in shown


def test_the_tables_show_an_empty_lake() -> None:
    nothing = {"low": 0, "total": 0, "share": None}
    answers = {
        "averages": {"reports": 0, "battery": None, "peace_score": None},
        "low-battery": {"threshold": 20, "reports": nothing, "drones": nothing},
    }
    out = io.StringIO()
    show(Summary(statistics=answers), Console(file=out, width=100))
    assert "–" in out.getvalue()
