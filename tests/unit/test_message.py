"""Messages stay within Discord's limits and mention nobody, whatever a drone says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from fleet.notifications.delivery import Digest, DigestRow, Slot
from fleet.notifications.incident import Incident
from fleet.notifications.message import digest_embed, incident_embeds
from fleet.reports.report import Citizen
from fleet.text import isolated, plain, sentence, units
from tests.support.examples import examples

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="😀👩‍👩‍👧‍👦🏳️‍🌈", max_size=400),
    st.text(alphabet="שלום مرحبا\u202e\u200f\u2066", max_size=400),
    st.sampled_from(
        ["@everyone " * 300, "*_~`|>#[]()<@&1>" * 100, "\ud800x", "\x00\n\r\t", "e\u0301" * 3000, "𒀀" * 5000]
    ),
)


def incident(text: str, **changes: object) -> Incident:
    values: dict[str, object] = {
        "incident_id": "i0",
        "key": "k",
        "kind": "unrest",
        "severity": "critical",
        "country": text,
        "city": text,
        "since": AT,
        "last": AT + timedelta(minutes=3),
        "alerts": 7,
        "worst_score": 1,
        "reported_at": AT,
        "state": "growing",
        "who": [Citizen(text[:1000], 1), Citizen("Ada", 2)],
        "drones": [text, "d2"],
        "heard": text,
        "note": text,
        "latitude": -53.123456,
        "longitude": -179.123456,
        "battery": 12.3,
        "verified": False,
        "acknowledged_by": text,
        "acknowledgement": text,
        "resolved_by": text,
    }
    return Incident(**{**values, **changes})  # type: ignore[arg-type]


@settings(max_examples=examples(300), deadline=None)
@given(HOSTILE, st.integers(1, 10), st.sampled_from(["open", "growing", "quiet", "resolved"]), st.integers(1, 10**9))
def test_a_message_is_never_over_a_limit(text: str, count: int, state: str, alerts: int) -> None:
    one = incident(text, state=state, alerts=alerts)
    embeds = incident_embeds([Slot("i0", 5)] * count, {"i0": one})
    assert sum(embed.units for embed in embeds) <= 6000
    for embed in embeds:
        assert 1 <= units(embed.title) <= 256
        assert units(embed.description) <= 4096
        assert len(embed.fields) <= 25
        assert all(1 <= units(name) <= 256 and 1 <= units(value) <= 1024 for name, value in embed.fields)
        assert all(value.strip() for _, value in embed.fields)
        assert dict(embed.fields)["Alerts"] == "5"
        "".join([embed.title, embed.description, *(value for _, value in embed.fields)]).encode()


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(HOSTILE, max_size=12), st.integers(0, 10**9))
def test_a_digest_is_never_over_a_limit(texts: list[str], others: int) -> None:
    rows = [DigestRow("unrest", "high", text, text, 3, f"unrest/{text}/1", f"unrest/{text}/2") for text in texts * 20]
    digest = Digest(len(rows) * 3 + others, AT, AT, rows[:200], {"silent": others + 3 * len(rows[200:])})
    embed = digest_embed(digest, "https://page.example")
    assert sum(map(int, re.findall(r"^\*\*(\d+)\*\* ", embed.description, re.MULTILINE))) == digest.alerts
    assert embed.units <= 6000
    assert units(embed.description) <= 4096
    assert dict(embed.fields)["Alerts"] == str(digest.alerts)


def test_a_digest_names_place_kind_and_range_of_ids_and_links_to_the_page() -> None:
    digest = Digest(3, AT, AT, [DigestRow("unrest", "high", "Germany", "Hamburg", 3, "unrest/d1/r1", "unrest/d9/r9")])
    embed = digest_embed(digest, "https://page.example")
    for part in ("**3**", "unrest", "Hamburg, Germany", "unrest/d1/r1", "unrest/d9/r9"):
        assert part in embed.description
    assert embed.url == "https://page.example/?from=2026-11-24T08%3A00%3A00Z&to=2026-11-24T08%3A00%3A00Z&kind=unrest"


def test_an_incident_names_place_who_score_battery_time_what_was_heard_and_the_map() -> None:
    one = incident("x", city="Hamburg", country="Germany", heard="shouting", who=[Citizen("Ada", 2)], verified=True)
    [embed] = incident_embeds([Slot("i0", 7)], {"i0": one})
    fields = dict(embed.fields)
    assert "Unrest in" in embed.title
    assert "Hamburg, Germany" in embed.title
    assert "shouting" in embed.description
    assert "Ada" in fields["Who"]
    assert fields["Worst score"] == "1"
    assert fields["Battery"] == "12 %"
    assert fields["Reported"] == "2026-11-24 08:00:00 UTC"
    assert "openstreetmap.org" in fields["Where"]
    assert embed.url.startswith("https://www.openstreetmap.org/?mlat=-53.1235&mlon=-179.1235")


def test_an_incident_that_goes_on_elsewhere_keeps_its_count() -> None:
    [embed] = incident_embeds([Slot("i0", 7)], {"i0": incident("x", message_id="newer")}, "older")
    assert dict(embed.fields) == {"Alerts": "7", "State": "continues in a newer message"}


@given(st.text(max_size=300), st.integers(0, 200))
def test_plain_text_keeps_its_limit_and_leaves_no_markdown(text: str, limit: int) -> None:
    shown = plain(text, limit)
    assert units(shown) <= limit
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_~`|<>@#\[\]]", shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@everyone", r"\@everyone"),
        ("<@&123>", r"\<\@\&123\>"),
        ("https://evil.example", r"https\://evil\.example"),
        ("**bold** `x`", r"\*\*bold\*\* \`x\`"),
        ("a\n# head", r"a \# head"),
        ("abc\u202edef", "abcdef"),
        ("👩‍👧", "👩‍👧"),
        ("", ""),
    ],
)
def test_markdown_and_mentions_are_neutralised(text: str, shown: str) -> None:
    assert plain(text, 100) == shown


def test_right_to_left_text_does_not_leak() -> None:
    assert isolated("שלום", 20) == "\u2068שלום\u2069"


def test_a_cut_never_parts_an_escape_nor_a_surrogate_pair() -> None:
    assert plain("****", 4) == r"\*…"
    assert plain("😀😀😀", 5) == "😀😀…"


def test_an_error_of_a_store_is_a_line_without_colours() -> None:
    error = OSError("Generic S3 error\n   \x1b[31m\u21b3\x1b[0m Connection refused\n" + "x" * 300)
    assert sentence(error).startswith("Generic S3 error \u21b3 Connection refused x")
    assert len(sentence(error)) == 300
