"""Citizens' names by a keyed hash: what landing makes of them, and what it keeps of a message that it rejects."""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from collections import namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadSettings
from fleet.reports.pseudonyms import KEY_LEAST, LENGTH, Pseudonyms
from fleet.reports.report import EARLIEST
from infra import settings
from speed_layer.landing import rejected
from speed_layer.landing.decoding import Decoded
from speed_layer.landing.deduplication import RecentReports
from speed_layer.landing.landed_rows import rows

KEY = "0123456789abcdef" * 2
RECEIVED_MS = 1_795_507_200_000  # 2026-11-24T08:00Z
REPORT: dict[str, Any] = {
    **{"report_id": "1", "drone_id": "drone-7", "reported_at": "2026-11-24T07:00:00Z", "latitude": 1, "longitude": 2},
    **{"battery": 50, "message": "calm", "alert": False, "country": "Chad", "city": "Mao"},
    "citizens": [{"name": "Zoë Nuñez", "peace_score": 3}, {"name": "", "peace_score": 9}],
}
Record = namedtuple("Record", "partition offset timestamp key value")


def decode(*values: bytes, key: str | None = KEY, window: RecentReports | None = None) -> Decoded:
    decoded = Decoded(pseudonyms=Pseudonyms(key) if key else None)
    records = [Record(0, number, RECEIVED_MS, b"drone-7", value) for number, value in enumerate(values)]
    decoded.take(records, window or RecentReports(), lambda *_: None, EARLIEST)
    return decoded


def message(**changes: Any) -> bytes:
    return json.dumps({**REPORT, **changes}).encode()


def test_a_name_lands_as_its_keyed_hash_and_the_score_stays() -> None:
    landed = rows(decode(message()), "topic", 0).to_pylist()[0]
    digest = hmac.new(KEY.encode(), "Zoë Nuñez".encode(), hashlib.sha256).hexdigest()
    assert landed["citizens"] == [{"name": digest[:LENGTH], "peace_score": 3}, {"name": "", "peace_score": 9}]
    assert (landed["citizen_count"], landed["peace_score_sum"], landed["worst_score"]) == (2, 12, 3)


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=80))
def test_a_pseudonym_is_the_beginning_of_an_hmac_whatever_the_key(key: str, name: str) -> None:
    digest = hmac.new(key.encode(), name.encode(), hashlib.sha256).hexdigest()
    pseudonyms = Pseudonyms(key)
    assert [pseudonyms.of_name(name), pseudonyms.of_name(name)] == [digest[:LENGTH]] * 2


def test_without_a_key_a_name_lands_as_it_came() -> None:
    assert rows(decode(message(), key=None), "topic", 0)["citizens"][0].as_py() == REPORT["citizens"]


@pytest.mark.parametrize(
    "other",
    ["zoë nuñez", "Zoe Nunez", unicodedata.normalize("NFD", "Zoë Nuñez"), " Zoë Nuñez", "Zoë  Nuñez"],
)
def test_another_spelling_of_a_name_has_another_pseudonym(other: str) -> None:
    """Whether two spellings are one person nobody knows; the lake without a key keeps them apart, too."""
    assert Pseudonyms(KEY).of_name(other) != Pseudonyms(KEY).of_name("Zoë Nuñez")


def test_another_key_gives_another_pseudonym() -> None:
    assert Pseudonyms(KEY).of_name("Zoë") != Pseudonyms(KEY[::-1]).of_name("Zoë")


def test_duplicates_and_conflicts_are_known_by_pseudonyms() -> None:
    decoded = decode(message(), message(), message(citizens=[{"name": "Ada", "peace_score": 3}]))
    assert (len(decoded.lines), decoded.duplicates) == (1, 1)
    assert [one.reason for one in decoded.rejected] == ["conflict"]


@pytest.mark.parametrize(
    "value", [b"Zoe: no json", message(battery=900), message(reported_at="2027-01-01T00:00:00Z")], ids=str
)
def test_a_rejected_message_keeps_no_value(value: bytes) -> None:
    (found,) = decode(value).rejected
    assert (found.value, found.withheld, found.key) == (None, True, b"drone-7")
    assert dict(rejected.headers_of(found, "reports", "id"))[rejected.WITHHELD] == b"true"
    (kept,) = decode(value, key=None).rejected
    assert (kept.value, kept.withheld) == (value, False)
    assert rejected.WITHHELD not in dict(rejected.headers_of(kept, "reports", "id"))


def test_a_conflicting_report_keeps_no_value() -> None:
    (found,) = decode(message(), message(message="riot")).rejected
    assert (found.reason, found.value, found.withheld) == ("conflict", None, True)


def test_a_key_is_long_enough_and_is_shown_nowhere() -> None:
    assert settings.load({}, pseudonym_key=KEY).pseudonym_key is not None
    assert KEY not in repr(settings.load({}, pseudonym_key=KEY))
    with pytest.raises(BadSettings, match=r"PEACEWATCH_PSEUDONYM_KEY: .*at least 32") as refused:
        settings.load({}, pseudonym_key="k" * (KEY_LEAST - 1))
    assert "kkk" not in str(refused.value)
