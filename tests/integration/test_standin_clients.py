"""Real clients against the stand-in behind a real socket: httpx, and the discord-webhook package."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from discord_webhook import DiscordEmbed, DiscordWebhook

from laptop.discord_standin.server import StandinServer
from tests.support.standin import serving

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StandinServer]:
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def client(server: StandinServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


def contents(client: httpx.Client) -> list[str]:
    return [message["content"] for message in client.get("/control/messages").json()["messages"]]


def test_the_library_posts_edits_and_deletes(server: StandinServer, client: httpx.Client) -> None:
    webhook = DiscordWebhook(url=f"{server.url}/api/webhooks/1/alerts", content="hello", timeout=5)
    embed = DiscordEmbed(title="Unrest", color="d83a3a", timestamp="2026-11-24T10:00:00+00:00")
    embed.add_embed_field("Alerts", "3")
    webhook.add_embed(embed)
    webhook.add_file(PNG, "map.png")
    assert webhook.execute().status_code == 200
    message = client.get("/control/messages").json()["messages"][0]
    assert message["embeds"][0]["color"] == 0xD83A3A
    assert client.get(message["attachments"][0]["url"]).content == PNG
    webhook.content = "changed"
    assert webhook.edit().status_code == 200
    assert contents(client) == ["changed"]
    assert webhook.delete().status_code == 204
    assert contents(client) == []


def test_the_library_waits_out_a_429(server: StandinServer, client: httpx.Client) -> None:
    client.post("/control/fail", json={"mode": "429", "seconds": 0.01})
    webhook = DiscordWebhook(url=f"{server.url}/api/webhooks/1/alerts", content="x", rate_limit_retry=True, timeout=5)
    assert webhook.execute().status_code == 200
    assert contents(client) == ["x"]


def test_a_picture_goes_into_an_embed(client: httpx.Client) -> None:
    payload = {"embeds": [{"title": "Report", "image": {"url": "attachment://day.png"}}]}
    form = {"payload_json": json.dumps(payload)}
    files = {"files[0]": ("day.png", PNG, "image/png")}
    answer = client.post("/api/webhooks/4/reports", params={"wait": "true"}, data=form, files=files).json()
    assert answer["attachments"][0]["size"] == len(PNG)
    url = answer["embeds"][0]["image"]["url"]
    assert client.get(url).content == PNG
    assert f'src="{url.removeprefix(str(client.base_url).rstrip("/"))}"' in client.get("/channels/4").text


def test_a_file_too_large_is_refused(client: httpx.Client) -> None:
    client.post("/control/limits", json={"file_bytes": 10})
    answer = client.post("/api/webhooks/4/reports", files={"files[0]": ("day.png", PNG)})
    assert (answer.status_code, answer.json()["code"]) == (413, 40005)


@pytest.mark.parametrize(("mode", "taken"), [("reset-before", 0), ("reset-after", 1)])
def test_a_connection_is_reset(client: httpx.Client, mode: str, taken: int) -> None:
    client.post("/control/fail", json={"mode": mode})
    with pytest.raises(httpx.ReadError) as error:
        client.post("/api/webhooks/1/alerts", json={"content": "x"})
    assert "reset" in str(error.value).lower()
    assert len(contents(client)) == taken


def test_a_slow_answer_outlasts_its_client(client: httpx.Client) -> None:
    client.post("/control/fail", json={"mode": "slow", "seconds": 2})
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/webhooks/1/alerts", json={"content": "x"}, timeout=0.1)
    assert contents(client) == ["x"]


def test_a_connection_serves_many_requests(server: StandinServer, client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b'{"content":', b'"in chunks"}')

    for _ in range(3):
        assert client.post("/api/webhooks/1/alerts", json={"content": "x"}).status_code == 204
    headers = {"content-type": "application/json"}
    assert client.post("/api/webhooks/1/alerts", content=chunks(), headers=headers).status_code == 204
    assert contents(client)[-1] == "in chunks"


def test_the_command_survives_kill_9_and_ends_on_sigterm(tmp_path: Path) -> None:
    def start() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "cli", "discord-standin", "--port", "0", "--data", str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    process, url = start()
    with process:
        assert httpx.post(f"{url}/api/webhooks/1/alerts", json={"content": "kept"}).status_code == 204
        os.kill(process.pid, signal.SIGKILL)
    process, url = start()
    with process:
        assert httpx.get(f"{url}/control/messages").json()["messages"][0]["content"] == "kept"
        process.terminate()
        assert process.wait(10) == 0
