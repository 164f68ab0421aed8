"""Messages of all our topics, and nightly reports, say which layout they have; a newer one is refused, not misread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import wire
from fleet.alerts import alert, elsewhere, pipeline_health
from fleet.alerts.elsewhere import AbsenceShare
from fleet.alerts.pipeline_health import SignOfLife
from fleet.errors import NewerLayout
from fleet.layout import LARGEST
from fleet.notifications import actions, delivery
from fleet.notifications.actions import Action, Target
from serving.report import facts
from tests.support import reports, world

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


KINDS: dict[str, tuple[bytes, Callable[[bytes], Any]]] = {
    "an alert": (alert.encode(world.alert(1, NOW)), alert.decode),
    "a delivery": (delivery.encode(world.delivered(world.alert(1, NOW))), delivery.decode),
    "an operator's action": (
        actions.encode(Action("1", "resolve", Target("i"), "Ada", NOW)),
        actions.decode,
    ),
    "a share of absent drones": (elsewhere.encode(AbsenceShare(3)), elsewhere.decode),
    "a sign of life": (pipeline_health.encode(SignOfLife("watch", "w", NOW)), pipeline_health.decode),
    "a nightly report": (facts.to_json(reports.busy(3)), facts.from_json),
}


@pytest.mark.parametrize("what", KINDS)
def test_a_newer_layout_is_refused_whatever_else_is_new(what: str) -> None:
    value, decode = KINDS[what]
    newer = (
        value.replace(b"{", b'{"layout": 2, ', 1),
        value[:-1] + b',"layout":2}',
        b'{"of another": "form", "layout":2}',
    )
    for each in newer:
        with pytest.raises(
            NewerLayout, match=rf"^{what} has layout 2 and this version of Peacewatch knows 1: upgrade it$"
        ):
            decode(each)


@pytest.mark.parametrize("what", KINDS)
def test_the_first_layout_is_read_with_and_without_its_number(what: str) -> None:
    value, decode = KINDS[what]
    assert b'"layout"' not in value
    assert decode(value.replace(b"{", b'{"layout": 1, ', 1)) == decode(value)


@pytest.mark.parametrize(
    "layout",
    [b'"2"', b"2.5", b"null", b"[]", b"0", b"-1", b"%d" % (LARGEST + 1), b"9" * 400, b"[" * 100_000, b'"\xff"'],
)
@pytest.mark.parametrize("what", KINDS)
def test_a_layout_that_is_no_number_is_an_invalid_message(what: str, layout: bytes) -> None:
    value, decode = KINDS[what]
    with pytest.raises(msgspec.MsgspecError):
        decode(value.replace(b"{", b'{"layout": ' + layout + b", ", 1))


@given(st.text(max_size=20), st.sampled_from(["layout", '"layout": 9', '{"layout": 9}', '\\"layout\\":9,']))
def test_text_of_a_drone_is_not_taken_for_a_layout(text: str, planted: str) -> None:
    said = msgspec.structs.replace(world.alert(1, NOW), drone_id=planted, message=text + planted)
    assert alert.decode(alert.encode(said)) == said
    share = AbsenceShare(3, held={planted: NOW, text: NOW})
    assert elsewhere.decode(elsewhere.encode(share)) == share


class Note(msgspec.Struct, omit_defaults=True):
    text: str
    more: str = ""


def test_a_raised_layout_is_written_and_those_before_are_read() -> None:
    first, second = wire.Codec(Note, "a note"), wire.Codec(Note, "a note", 2)
    note = Note("hello")
    assert second.encode(note) == b'{"layout":2,"text":"hello"}'
    assert second.decode(second.encode(note)) == second.decode(first.encode(note)) == note
    with pytest.raises(NewerLayout):
        first.decode(second.encode(note))
