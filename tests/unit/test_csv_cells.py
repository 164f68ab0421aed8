"""Cells of CSV: nothing that a drone sent is run as a formula, in whatever locale a spreadsheet reads it."""

from __future__ import annotations

import csv
import io
import re

import pytest
from flask import Flask, Response
from hypothesis import given
from hypothesis import strategies as st

from serving.http.tables import neutral, table

SIGNS = "=+-@＝＋－＠"
DANGEROUS = re.compile(rf"^[\\s\u200b\ufeff]*[\"']?[{re.escape(SIGNS)}]")


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "\u200b=1", "\ufeff=1", "＝1", "＋1", "－1", "＠x"),
        *("\u2066=1", "\u00ad=1", "\u061c+1", "\u180e=1", "\ufe0f-1", "\U000e0061=1", "\x85=1", "\u2800@x"),
        *('""=1', "⁼1", 'a,"\u2067" =1', "\x00=1"),
        *('"=1', "a;=1", "a,=1", "a\t@x", "a|-1", "a\n=1", "a;  ＝1", 'a;"=1', "−1"),
    ],
)
def test_a_formula_is_neutral(text: str) -> None:
    assert neutral(text) != text
    assert neutral(text).replace("'", "", 1) == text


@pytest.mark.parametrize("text", ["", "all is calm", "a-b", "a - b", "1+1=2", "me@home", "a, b; c", "Côte d'Ivoire"])
def test_plain_text_stays(text: str) -> None:
    assert neutral(text) == text


@pytest.mark.parametrize("part", [" ", "\t", "\r", ",", "'", '"', "\u200b", "\t ", " \t", ", ", ",\u2066", "\t="])
def test_a_megabyte_of_nothing_is_looked_at_once(part: str) -> None:
    """It took hours where characters were looked at again and again: a place for 300,000 tabs holds them."""
    text = part * 300_000
    assert neutral(text).replace("'", "") == text.replace("'", "")


@given(st.text(alphabet=SIGNS + "ab ,;\t\n|'\"1\u200b", max_size=30))
def test_no_part_of_a_cell_begins_a_formula(text: str) -> None:
    """Cut at what any locale takes for the end of a cell."""
    for separator in (";", ",", "\t", "|", "\n"):
        for part in neutral(text).split(separator):
            assert not re.match(rf"^[\s\u200b]*[{re.escape(SIGNS)}]", part), (text, neutral(text))


@given(st.text(max_size=60).filter(lambda text: "\r" not in text and "\0" not in text))
def test_a_cell_comes_back_but_for_quotes(text: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow([neutral(text), "end"])
    file.seek(0)
    (row,) = csv.reader(file)
    assert row[1] == "end"
    assert row[0].replace("'", "") == text.replace("'", "")


def test_csv_begins_with_a_byte_order_mark_and_has_a_file_name() -> None:
    app = Flask(__name__)

    @app.get("/drones/<name>/days", endpoint="drone_days.drone_days")
    def drone_days(name: str) -> Response:
        return table({"version": 3}, [{"city": name, "n": 1}], "csv")

    answer = app.test_client().get("/drones/x;＝HYPERLINK(1)/days")
    assert answer.data.startswith(b"\xef\xbb\xbfcity,n\r\n")
    assert answer.data.decode("utf-8-sig").splitlines()[1] == "x;'＝HYPERLINK(1),1"
    disposition = answer.headers["Content-Disposition"]
    assert disposition == 'attachment; filename="peacewatch-drone-days.csv"', "nothing of it is text of a drone"
    assert answer.headers["X-Peacewatch-Version"] == "3"
