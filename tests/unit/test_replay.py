"""A CSV file as reports: the header, the clocks, the quoting, and what is said of a wrong row."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput
from fleet.reports.report import Citizen, decode, encode
from fleet.spreadsheet import LONGEST_CELL
from laptop.feed.replay import HEADER, reports

START = datetime(2021, 3, 22, tzinfo=UTC)
GOOD = dict(
    zip(
        HEADER,
        ["1", "USA-8226", "Lyssa Pattin", "Dolore neque.", "4", "Norway", "Oslo", "59.9", "-10.7", "55", "0"],
        strict=True,
    )
)


def text_of(rows: Any, header: Any = HEADER) -> Any:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(row.values() if isinstance(row, dict) else row for row in rows)
    return out.getvalue()


def replay(text: str, clock: Any = "fleet", start: Any = START, **options: Any) -> Any:
    return list(reports(io.StringIO(text, newline=""), start, clock, **options))


def test_a_row_is_a_report() -> None:
    (report,) = replay(text_of([GOOD]))
    assert report.report_id == "USA-8226@2021-03-22T00:00:00Z"
    assert (report.drone_id, report.reported_at) == ("1", START)
    assert (report.latitude, report.longitude, report.battery) == (59.9, -10.7, 55.0)
    assert report.citizens == [Citizen("Lyssa Pattin", 4)]
    assert (report.message, report.alert) == ("Dolore neque.", False)
    assert (report.country, report.city) == ("Norway", "Oslo")
    assert decode(encode(report), START) == report


@pytest.mark.parametrize(
    ("clock", "minutes"),
    [("fleet", [0, 1, 2, 3, 4]), ("drone", [0, 0, 1, 0, 1])],
)
def test_clocks(clock: Any, minutes: Any) -> None:
    rows = [{**GOOD, "DroneID": drone} for drone in ["7", "3", "7", "1", "3"]]
    assert [report.reported_at for report in replay(text_of(rows), clock)] == [
        START + timedelta(minutes=minute) for minute in minutes
    ]


@given(st.lists(st.sampled_from(["1", "2", "3"]), max_size=30), st.sampled_from(["fleet", "drone"]))
def test_the_same_file_gives_the_same_ids_and_each_drones_minute_is_its_own(drones: Any, clock: Any) -> None:
    text = text_of([{**GOOD, "DroneID": drone, "Record": f"R-{i}"} for i, drone in enumerate(drones)])
    once = replay(text, clock)
    assert once == replay(text, clock)
    assert len({(report.drone_id, report.report_id) for report in once}) == len(drones)
    for drone in set(drones):
        times = [report.reported_at for report in once if report.drone_id == drone]
        assert times == sorted(set(times))
        if clock == "drone":
            assert times == [START + timedelta(minutes=minute) for minute in range(len(times))]


def test_start_is_taken_to_utc() -> None:
    start = datetime.fromisoformat("2021-03-22T05:30:00+05:30")
    assert replay(text_of([GOOD]), start=start) == replay(text_of([GOOD]))


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8"), max_size=30), st.text(st.characters(codec="utf-8"), max_size=200)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_quoting_and_script_comes_through(pairs: Any) -> None:
    rows = [{**GOOD, "Citizen": name, "Message": message} for name, message in pairs]
    assert [(report.citizens[0].name, report.message) for report in replay(text_of(rows))] == pairs


def test_an_empty_place_is_unknown_to_the_report() -> None:
    (report,) = replay(text_of([{**GOOD, "Country": "", "City": ""}]))
    assert (report.country, report.city) == (None, None)


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("", "line 1", "empty"),
        ("\n\n", "line 1", "empty"),
        (text_of([], HEADER[:-1]), "line 1, column Alert", "missing"),
        (text_of([], [*HEADER, "Extra"]), "line 1, column 12", "not expected"),
        (text_of([], [HEADER[1], HEADER[0], *HEADER[2:]]), "line 1, column 1", "'Record', not DroneID"),
        (text_of([], [*HEADER[:4], "peacescore", *HEADER[5:]]), "line 1, column 5", "not PeaceScore"),
        ('"Drone\n', "line 1", "broken CSV"),
    ],
)
def test_a_wrong_header_always_stops(text: str, where: str, why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        replay(text, on_bad=lambda error: None)
    assert caught.value.field == where


@pytest.mark.parametrize(
    ("column", "cell", "why"),
    [
        ("DroneID", "", "empty"),
        ("DroneID", "x" * 201, "201 characters"),
        ("Record", "", "empty"),
        ("Citizen", "x" * 1001, "1001 characters"),
        ("Citizen", "Na\udce9ve", "not UTF-8"),
        ("PeaceScore", "0", "not from 1 to 10"),
        ("PeaceScore", "11", "not from 1 to 10"),
        ("PeaceScore", "4.5", "not a whole number"),
        ("PeaceScore", "", "not a number"),
        ("PeaceScore", "four", "'four' is not a number"),
        ("PeaceScore", "\x1b[2J", r"'\\x1b\[2J' is not a number"),
        ("Latitude", "90.1", "not from -90 to 90"),
        ("Latitude", "nan", "not a number"),
        ("Latitude", "1_0", "not a number"),
        ("Latitude", "٤", "not a number"),
        ("Longitude", "-180.5", "not from -180 to 180"),
        ("Battery", "101", "not from 0 to 100"),
        ("Battery", "-1", "not from 0 to 100"),
        ("Alert", "yes", "neither 0 nor 1"),
        ("Country", "x" * 201, "201 characters"),
    ],
)
def test_a_wrong_cell_is_named_by_line_and_column(column: str, cell: str, why: str) -> None:
    text = text_of([{**GOOD, "Message": "two\nlines"}, {**GOOD, column: cell}, GOOD])
    with pytest.raises(BadInput, match=why) as caught:
        replay(text)
    assert caught.value.field == f"line 4, column {column}"


@pytest.mark.parametrize(
    ("row", "where"),
    [
        (["1", "R-1"], "line 3, column Citizen"),
        ([*GOOD.values(), "more"], "line 3, column 12"),
    ],
)
def test_a_row_of_another_width_is_named(row: Any, where: str) -> None:
    with pytest.raises(BadInput) as caught:
        replay(text_of([GOOD, row, GOOD]))
    assert caught.value.field == where


@pytest.mark.parametrize("clock", ["fleet", "drone"])
def test_skipped_rows_are_named_and_change_no_other(clock: Any) -> None:
    rows = [{**GOOD, "Record": f"R-{i}"} for i in range(5)]
    good = replay(text_of(rows), clock)
    bad: list[BadInput] = []
    skipped = replay(text_of([rows[0], {**rows[1], "Battery": "?"}, *rows[2:]]), clock, on_bad=bad.append)
    assert skipped == [good[0], *good[2:]]
    assert [error.field for error in bad] == ["line 3, column Battery"]


def test_broken_quoting_is_named_by_the_line_it_starts_at() -> None:
    lines = text_of([GOOD, GOOD]).splitlines(keepends=True)
    broken = "".join([lines[0], lines[1], lines[2].replace("Dolore", '"Dol"ore'), lines[1]])
    bad: list[BadInput] = []
    assert len(replay(broken, on_bad=bad.append)) == 2
    assert [error.field for error in bad] == ["line 3"]
    unclosed = "".join([*lines, '1,"never closed,', *lines[1:]])
    with pytest.raises(BadInput, match="broken CSV") as caught:
        replay(unclosed)
    assert caught.value.field == "line 4"


def as_spreadsheet(separator: Any, rows: Any, first: str = "") -> Any:
    text = io.StringIO()
    text.write(first)
    writer = csv.writer(text, delimiter=separator)
    writer.writerows([HEADER, *rows])
    return text.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + text_of([GOOD]),
        as_spreadsheet(";", [GOOD.values()]),
        as_spreadsheet("\t", [GOOD.values()]),
        as_spreadsheet("|", [GOOD.values()], "sep=|\r\n"),
        as_spreadsheet(";", [{**GOOD, "Latitude": "59,9", "Longitude": "-10,7"}.values()]),
        text_of([{**GOOD, "Alert": "TRUE" if GOOD["Alert"] == "1" else "False"}]),
        text_of([GOOD]) + "," * 10 + "\r\n" + " , ,,,,,,,,,\r\n",
        as_spreadsheet(",", [[*GOOD.values(), "", ""]]),
    ],
    ids=["mark", "semicolons", "tabs", "sep=", "decimal commas", "words", "rows of commas", "empty cells at the end"],
)
def test_files_of_spreadsheets_are_read(text: str) -> None:
    assert replay(text) == replay(text_of([GOOD]))


@pytest.mark.parametrize("over", [0, 1])
def test_a_message_may_be_as_long_as_kafka_takes_it(over: Any) -> None:
    text = text_of([{**GOOD, "Message": "x" * (LONGEST_CELL + over)}])
    if over:
        with pytest.raises(BadInput, match=r"broken CSV: field larger than field limit \(1048576\)"):
            replay(text)
    else:
        assert len(replay(text)[0].message) == LONGEST_CELL


def test_lines_are_counted_from_the_files_first() -> None:
    bad = {**GOOD, "Battery": "?"}
    with pytest.raises(BadInput) as caught:
        replay(as_spreadsheet(";", [GOOD.values(), bad.values()], "sep=;\r\n"))
    assert caught.value.field == "line 4, column Battery"


def test_the_time_and_the_clock_are_checked() -> None:
    with pytest.raises(BadInput, match="start"):
        replay(text_of([GOOD, GOOD]), start=datetime.max.replace(tzinfo=UTC))
    with pytest.raises(BadInput, match="time zone"):
        replay(text_of([GOOD]), start=START.replace(tzinfo=None))
    with pytest.raises(BadInput, match="neither fleet nor drone"):
        replay(text_of([GOOD]), clock="sun")
