"""What commands print of drones' words moves no cursor, turns no text around, and is no markup."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.trace.steps import Step, table
from fleet.text import escaped
from speed_layer.landing import rejected_file
from speed_layer.landing.rejected import RejectedRecord


@pytest.mark.parametrize("said", ["[/x]", "[bold]Paris[/bold]", "[link=https://evil.example]here[/link]", "[", "]\\["])
def test_a_traced_report_shows_its_words_as_they_are(said: str) -> None:
    """A rejected message's detail of `[/x]` ended the command with a stack trace, and a city of `[red]` vanished."""
    shown = io.StringIO()
    Console(file=shown, width=200).print(table([Step("lake", "reports/0/1", {"city": f"{said} \x1b[2J\x9b\u202e"})]))
    assert f"city: {said} \\u001b[2J\\u009b\\u202e" in shown.getvalue()


@given(st.text())
def test_a_line_of_json_says_the_same(text: str) -> None:
    assert json.loads(escaped(json.dumps(text, ensure_ascii=False))) == text


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["\x9b31m", "\u202etxt.exe", "\x85\u2028"]))
def test_a_rejected_message_comes_back_from_its_line(text: str) -> None:
    record = RejectedRecord(3, {"reason": text}, text.encode(), text.encode())
    line = rejected_file.line(record)
    assert not set(line) & set("\x1b\x7f\x85\x9b\u2028\u202e")
    assert json.loads(line)["value"] == text
