"""The stand-in's page: a channel as people see it, and nothing of a message is ever markup."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laptop.discord_standin.markdown import html
from laptop.discord_standin.request import Request
from tests.support.standin import ALERTS, Local

OURS = {"span", "br", "div", "small", "blockquote", "pre", "code", "a", "strong", "em", "u", "s", "time"}


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


MARKS = "<script> '\" ** * __ _ ~~ || ` ``` [ ](http:// ) ( > # \\ <t:1:R> <t:99999999999> @everyone <@1> javascript:"
NEW_TAB = "rel='noreferrer noopener' target='_blank'"
pieces = st.sampled_from([*MARKS.split(), "> ", "# ", "\n", "https://a.b/?c=d&e='f", "x", " ", "&lt;"])


@given(st.lists(pieces | st.text(max_size=5), max_size=30).map("".join))
def test_markdown_makes_only_its_own_tags(text: str) -> None:
    found = Tags(html(text))
    assert found.tags <= OURS
    assert found.names <= {"class", "href", "rel", "target", "datetime"}
    assert all(link.startswith(("http://", "https://")) for link in found.links)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("**a** *b* __c__ ~~d~~", "<span><strong>a</strong> <em>b</em> <u>c</u> <s>d</s></span>"),
        ("*a **b** c*", "<span><em>a <strong>b</strong> c</em></span>"),
        ("`<b>`", "<span><code>&lt;b&gt;</code></span>"),
        ("snake_case_name 2 * 3 * 4", "<span>snake_case_name 2 * 3 * 4</span>"),
        (r"\*a\*", "<span>*a*</span>"),
        ("> q\nr", "<blockquote>q</blockquote><span>r</span>"),
        ("[x](javascript:alert)", "<span>[x](javascript:alert)</span>"),
        ("***a*** b  \n c", "<span><em><strong>a</strong></em> b\nc</span>"),
        ("a\n\n# b\n- c\n-# d", "<span>a</span><div class='h1'>b</div><div class='item'>c</div><small>d</small>"),
        ("`- a` ```py\n- <b>\n``` c", "<span><code>- a</code> <pre>- &lt;b&gt;</pre> c</span>"),
        ("    a &lt; ![b](c)", "<span>    a &amp;lt; ![b](c)</span>"),
        ("||a < b|| c|d", "<span><span class='spoiler'>a &lt; b</span> c|d</span>"),
        (r"\@everyone <@&1>", "<span>@everyone <span class='mention'>&lt;@&amp;1&gt;</span></span>"),
        ("[**a**](https://b.c/d_e_f)", f"<span><a href='https://b.c/d_e_f' {NEW_TAB}><strong>a</strong></a></span>"),
        (
            "<https://b.c/?d=1&e>.",
            f"<span><a href='https://b.c/?d=1&amp;e' {NEW_TAB}>https://b.c/?d=1&amp;e</a>.</span>",
        ),
        (
            "<t:0:R> <t:99999999999999>",
            "<span><time class='stamp' datetime='1970-01-01T00:00:00+00:00'>01 January 1970 00:00 UTC</time>"
            " &lt;t:99999999999999&gt;</span>",
        ),
    ],
)
def test_markdown(text: str, wanted: str) -> None:
    assert html(text) == wanted


@pytest.fixture
def discord(tmp_path: Path) -> Iterator[Local]:
    local = Local(tmp_path)
    yield local
    local.close()


def page(discord: Local, path: str = "/") -> str:
    return discord.ask("GET", path).body.decode()


def test_every_text_is_escaped(discord: Local) -> None:
    evil = "</title><img src=x onerror=alert(1)>'\""
    embed: dict[str, Any] = {"title": evil, "description": evil}
    embed |= {"footer": {"text": evil}, "author": {"name": evil}, "fields": [{"name": evil, "value": evil}]}
    discord.post({"content": evil, "username": evil.replace(":", ""), "embeds": [embed]})
    assert "img" not in Tags(page(discord)).tags
    assert page(discord).count("onerror") == 8


def test_a_message_is_shown_with_what_people_look_for(discord: Local) -> None:
    fields = [{"name": "Alerts", "value": "14", "inline": True}]
    posted = discord.post({"embeds": [{"title": "Unrest", "color": 0xD83A3A, "fields": fields}]})
    assert "(edited" not in page(discord)
    discord.ask("PATCH", f"{ALERTS}/messages/{posted['id']}", {"content": "more"})
    shown = page(discord)
    for part in ("border-left-color:#d83a3a", "<dt><span>Alerts</span></dt>", "Unrest", "(edited", "more"):
        assert part in shown
    assert "Unrest" not in page(discord, "/channels/2")
    assert discord.ask("GET", "/channels/99").status == 404


def test_the_refresh_is_cheap_until_something_changes(discord: Local) -> None:
    def refresh(etag: str = "") -> tuple[int, str]:
        request = Request("GET", "/", {"part": "messages"}, {"if-none-match": etag})
        answer = discord.standin.handle(request)
        return answer.status, answer.headers["ETag"]

    _, etag = refresh()
    assert refresh(etag) == (304, etag)
    discord.post({"content": "x"})
    assert refresh(etag)[0] == 200
