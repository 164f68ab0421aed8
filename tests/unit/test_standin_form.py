"""Requests and Discord's answers, with their sources: the stand-in refuses what Discord refuses, and nothing else.

[W] https://docs.discord.com/developers/resources/webhook#execute-webhook
[M] https://docs.discord.com/developers/resources/message#embed-object-embed-limits
[A] https://docs.discord.com/developers/resources/message#allowed-mentions-object
[E] https://docs.discord.com/developers/reference#error-messages
[C] https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.standin import ALERTS, Local, json_of

ASTRAL = "😀"  # two UTF-16 code units
REQUIRED = "BASE_TYPE_REQUIRED"
TOO_LONG = "BASE_TYPE_MAX_LENGTH"


@pytest.fixture
def discord(tmp_path: Path) -> Iterator[Local]:
    local = Local(tmp_path)
    yield local
    local.close()


def embed(**given: Any) -> dict[str, Any]:
    return {"embeds": [{"title": "t", **given}]}


def fields(count: int, name: str = "n", value: str = "v") -> dict[str, Any]:
    return embed(fields=[{"name": name, "value": value}] * count)


TAKEN = {
    "content of 2,000 [W]": {"content": "x" * 2000},
    "1,000 emoji are 2,000 code units": {"content": ASTRAL * 1000},
    "ten embeds [W]": {"embeds": [{"title": "t"}] * 10},
    "title of 256 [M]": embed(title="x" * 256),
    "description of 4,096 [M]": embed(description="x" * 4096),
    "25 fields [M]": fields(25),
    "field name of 256, value of 1,024 [M]": fields(1, "x" * 256, "x" * 1024),
    "footer of 2,048 [M]": embed(footer={"text": "x" * 2048}),
    "author of 256 [M]": embed(author={"name": "x" * 256}),
    "6,000 over all embeds [M]": {"embeds": [{"description": "x" * 3000}] * 2},
    "username of 80 [W]": {"content": "x", "username": "x" * 80},
    "white [M]": embed(color=0xFFFFFF),
    "a picture of an attachment [W]": embed(image={"url": "attachment://a.png"}),
    "a time of another zone [M]": embed(timestamp="2026-11-24T10:00:00+02:00"),
    "nobody mentioned [A]": {"content": "@everyone", "allowed_mentions": {"parse": []}},
    "100 users mentioned [A]": {"content": "x", "allowed_mentions": {"users": [str(n) for n in range(100)]}},
    "a key that Discord does not know": {"content": "x", "wait": True},
    "only a picture in an embed": {"embeds": [{"image": {"url": "https://example.org/a.png"}}]},
}


@pytest.mark.parametrize("payload", TAKEN.values(), ids=TAKEN)
def test_taken(discord: Local, payload: dict[str, Any]) -> None:
    assert discord.ask(payload=payload).status == 204
    assert discord.ask(payload=payload, query={"wait": "true"}).status == 200


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "content of 2,001 [W]": ({"content": "x" * 2001}, "content", TOO_LONG),
    "1,001 emoji": ({"content": ASTRAL * 1000 + "x"}, "content", TOO_LONG),
    "eleven embeds [W]": ({"embeds": [{"title": "t"}] * 11}, "embeds", TOO_LONG),
    "embeds that are no list [E]": ({"embeds": {"title": "t"}}, "embeds", "LIST_TYPE_CONVERT"),
    "an embed that is none [E]": ({"embeds": ["t"]}, "embeds.0", "DICT_TYPE_CONVERT"),
    "a null embed (discord-js-bot issue 365)": ({"embeds": [None]}, "embeds.0", "LIST_ITEM_VALUE_REQUIRED"),
    "an empty embed (JDA issue 1992)": ({"embeds": [{}]}, "embeds.0.description", REQUIRED),
    "an embed of a blank description": ({"embeds": [{"description": " "}]}, "embeds.0.description", REQUIRED),
    "title of 257 [M]": (embed(title="x" * 257), "embeds.0.title", TOO_LONG),
    "title of 129 emoji [M]": (embed(title=ASTRAL * 129), "embeds.0.title", TOO_LONG),
    "description of 4,097 [M]": (embed(description="x" * 4097), "embeds.0.description", TOO_LONG),
    "26 fields [M]": (fields(26), "embeds.0.fields", TOO_LONG),
    "field name of 257 [M]": (fields(1, name="x" * 257), "embeds.0.fields.0.name", TOO_LONG),
    "field value of 1,025 [M]": (fields(1, value="x" * 1025), "embeds.0.fields.0.value", TOO_LONG),
    "blank field name": (fields(1, name=" \n"), "embeds.0.fields.0.name", REQUIRED),
    "no field value (spellbot issue 384)": (fields(1, value=""), "embeds.0.fields.0.value", REQUIRED),
    "footer of 2,049 [M]": (embed(footer={"text": "x" * 2049}), "embeds.0.footer.text", TOO_LONG),
    "author of 257 [M]": (embed(author={"name": "x" * 257}), "embeds.0.author.name", TOO_LONG),
    "6,001 over all embeds [M]": (
        {"embeds": [{"description": "x" * 3000}, {"description": "x" * 2990, "footer": {"text": "x" * 11}}]},
        "embeds",
        "MAX_EMBED_SIZE_EXCEEDED",
    ),
    "a color that is none": (embed(color=0x1000000), "embeds.0.color", "NUMBER_TYPE_MAX"),
    "a color by name": (embed(color="red"), "embeds.0.color", "NUMBER_TYPE_COERCE"),
    "a URL of another scheme": (embed(url="javascript:alert(1)"), "embeds.0.url", "URL_TYPE_INVALID_SCHEME"),
    "an attachment as a link": (embed(url="attachment://a.png"), "embeds.0.url", "URL_TYPE_INVALID_SCHEME"),
    "a URL that is none": (embed(url="example"), "embeds.0.url", "URL_TYPE_INVALID_URL"),
    "a time that is none": (embed(timestamp="yesterday"), "embeds.0.timestamp", "DATE_TIME_TYPE_PARSE"),
    "seconds as a time": (embed(timestamp=1795000000), "embeds.0.timestamp", "DATE_TIME_TYPE_PARSE"),
    "username of 81 [W]": ({"content": "x", "username": "x" * 81}, "username", "BASE_TYPE_BAD_LENGTH"),
    "a username with discord in it": (
        {"content": "x", "username": "My Discord"},
        "username",
        "USERNAME_INVALID_CONTAINS",
    ),
    "mentions both ways [A]": (
        {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
        "allowed_mentions",
        "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
    ),
    "101 users mentioned [A]": (
        {"content": "x", "allowed_mentions": {"users": ["1"] * 101}},
        "allowed_mentions.users",
        TOO_LONG,
    ),
    "a kind of mention that is none [A]": (
        {"content": "x", "allowed_mentions": {"parse": ["all"]}},
        "allowed_mentions.parse.0",
        "BASE_TYPE_CHOICES",
    ),
}


@pytest.mark.parametrize(("payload", "place", "code"), REFUSED.values(), ids=REFUSED)
def test_refused_as_an_invalid_form(discord: Local, payload: dict[str, Any], place: str, code: str) -> None:
    message_id = discord.post({"content": "before"})["id"]
    for method, path in (("POST", ALERTS), ("PATCH", f"{ALERTS}/messages/{message_id}")):
        if (method, place) == ("PATCH", "username"):
            continue
        answer = discord.ask(method, path, payload)
        body = json_of(answer)
        assert (answer.status, body["code"], body["message"]) == (400, 50035, "Invalid Form Body")
        node = body["errors"]
        for part in place.split("."):
            node = node[part]
        assert [error["code"] for error in node["_errors"]] == [code]
    assert [message["content"] for message in discord.control("messages")["messages"]] == ["before"]


OTHERS: dict[str, tuple[str, str, Any, int, int]] = {
    "an empty message [C]": ("POST", ALERTS, {}, 400, 50006),
    "a blank message [C]": ("POST", ALERTS, {"content": " \n"}, 400, 50006),
    "no JSON [C]": ("POST", ALERTS, b"{", 400, 50109),
    "a list": ("POST", ALERTS, [], 400, 50035),
    "an unknown webhook [C]": ("POST", "/api/webhooks/99/alerts", {"content": "x"}, 404, 10015),
    "another token [C]": ("POST", "/api/webhooks/1/severe", {"content": "x"}, 401, 50027),
    "an id that is none": ("POST", "/api/webhooks/one/alerts", {"content": "x"}, 400, 50035),
    "an unknown message [C]": ("PATCH", f"{ALERTS}/messages/1", {"content": "x"}, 404, 10008),
    "an unknown message to read": ("GET", f"{ALERTS}/messages/1", None, 404, 10008),
    "an unknown message to delete": ("DELETE", f"{ALERTS}/messages/1", None, 404, 10008),
    "a thread in a text channel [C]": ("POST", ALERTS, {"content": "x", "thread_name": "t"}, 400, 220003),
    "no such method": ("PUT", ALERTS, None, 405, 0),
    "no such address": ("GET", "/api/v10/gateway", None, 404, 0),
}


@pytest.mark.parametrize(("method", "path", "payload", "status", "code"), OTHERS.values(), ids=OTHERS)
def test_refused_otherwise(discord: Local, method: str, path: str, payload: Any, status: int, code: int) -> None:
    answer = discord.ask(method, path, payload)
    assert (answer.status, json_of(answer)["code"]) == (status, code)


def test_another_content_type_is_refused(discord: Local) -> None:
    assert json_of(discord.ask(payload=b"hello", kind="text/plain"))["code"] == 50035


def test_an_emptied_message_is_refused(discord: Local) -> None:
    message_id = discord.post({"content": "x"})["id"]
    assert json_of(discord.ask("PATCH", f"{ALERTS}/messages/{message_id}", {"content": None}))["code"] == 50006
