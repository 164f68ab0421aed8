"""A message's life in the stand-in: posted, read, edited, deleted, and there again after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.standin import ALERTS, Local, json_of


@pytest.fixture
def discord(tmp_path: Path) -> Iterator[Local]:
    local = Local(tmp_path)
    yield local
    local.close()


def test_a_message_has_discords_shape(discord: Local) -> None:
    message = discord.post({"content": " hi ", "embeds": [{"title": " t ", "color": "255", "unknown": 1}]})
    assert message["content"] == "hi"
    assert message["embeds"] == [{"type": "rich", "title": "t", "color": 255}]
    assert int(message["id"]) >> 22 == int(discord.clock.now * 1000) - 1_420_070_400_000
    assert (message["edited_timestamp"], message["webhook_id"], message["author"]["bot"]) == (None, "1", True)


def test_an_edit_changes_what_it_names(discord: Local) -> None:
    posted = discord.post({"content": "a", "embeds": [{"title": "t"}]})
    address = f"{ALERTS}/messages/{posted['id']}"
    edited = json_of(discord.ask("PATCH", address, {"content": "b"}))
    assert (edited["content"], edited["embeds"], edited["id"]) == ("b", posted["embeds"], posted["id"])
    assert edited["edited_timestamp"]
    assert json_of(discord.ask("GET", address)) == edited
    assert json_of(discord.ask("PATCH", address, {"embeds": []}))["embeds"] == []


def test_a_deleted_message_is_unknown_and_still_evidence(discord: Local) -> None:
    posted = discord.post({"content": "a"})
    address = f"{ALERTS}/messages/{posted['id']}"
    assert discord.ask("DELETE", address).status == 204
    assert discord.ask("GET", address).status == 404
    assert discord.control("messages")["messages"] == []
    assert [m["content"] for m in discord.control("messages", deleted="true")["messages"]] == ["a"]


def test_a_message_belongs_to_its_webhook(discord: Local) -> None:
    posted = discord.post({"content": "a"})
    answer = discord.ask("PATCH", f"/api/webhooks/2/severe/messages/{posted['id']}", {"content": "b"})
    assert json_of(answer)["code"] == 10008


@pytest.mark.parametrize(
    ("allowed", "calls"),
    [
        (None, {"everyone": True, "users": ["7"], "roles": ["8"]}),
        ({"parse": []}, {"everyone": False, "users": [], "roles": []}),
        ({"parse": ["everyone"]}, {"everyone": True, "users": [], "roles": []}),
        ({"users": ["7"]}, {"everyone": False, "users": ["7"], "roles": []}),
        ({"parse": ["roles"], "users": []}, {"everyone": False, "users": [], "roles": ["8"]}),
    ],
)
def test_whom_a_message_calls_is_recorded(discord: Local, allowed: Any, calls: dict[str, Any]) -> None:
    payload = {"content": "@everyone <@7> <@&8>"} | ({} if allowed is None else {"allowed_mentions": allowed})
    assert discord.post(payload)["mention_everyone"] is calls["everyone"]
    assert discord.control("messages")["messages"][0]["calls"] == calls


def test_text_of_an_embed_calls_nobody(discord: Local) -> None:
    discord.post({"embeds": [{"title": "@everyone <@7>"}]})
    assert not any(discord.control("messages")["messages"][0]["calls"].values())


def test_everything_taken_is_there_after_a_kill(discord: Local) -> None:
    first, second = discord.post({"content": "a"}), discord.post({"content": "b"})
    discord.ask("PATCH", f"{ALERTS}/messages/{first['id']}", {"content": "c"})
    discord.ask("DELETE", f"{ALERTS}/messages/{second['id']}")
    discord.control("webhook", {"webhook": "2", "token": None})
    again = discord.restarted()
    assert again.control("messages", deleted="1") == discord.control("messages", deleted="1")
    assert json_of(again.ask(path="/api/webhooks/2/severe", payload={"content": "x"}))["code"] == 10015
    assert int(again.post({"content": "d"})["id"]) > int(second["id"])


def test_a_line_half_written_is_cut(discord: Local) -> None:
    discord.post({"content": "a"})
    with (discord.folder / "log.jsonl").open("ab") as file:
        file.write(b'{"at":"2026-')
    again = discord.restarted()
    again.post({"content": "b"})
    contents = [message["content"] for message in again.restarted().control("messages")["messages"]]
    assert contents == ["a", "b"]


def test_the_log_has_every_request_and_no_token(discord: Local) -> None:
    discord.post({"content": "a"})
    discord.ask(payload={})
    log = discord.control("log")["requests"]
    assert [(entry["method"], entry["status"], entry["code"]) for entry in log] == [
        ("POST", 200, None),
        ("POST", 400, 50006),
    ]
    assert "alerts" not in (discord.folder / "log.jsonl").read_text()


def test_a_webhook_gets_another_token_and_is_deleted(discord: Local) -> None:
    assert json_of(discord.ask("GET", ALERTS))["channel_id"] == "101"
    discord.control("webhook", {"webhook": "1", "token": "new"})
    assert discord.ask(payload={"content": "x"}).status == 401
    assert discord.ask(path="/api/webhooks/1/new", payload={"content": "x"}).status == 204
    assert discord.ask("DELETE", "/api/webhooks/1/new").status == 204
    assert json_of(discord.ask(path="/api/webhooks/1/new", payload={"content": "x"}))["code"] == 10015
    discord.control("reset", {})
    assert discord.ask(payload={"content": "x"}).status == 204
