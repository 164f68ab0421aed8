"""The documentation site in a real Chromium: it builds without a warning, and loads nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

WAIT_MS = 60_000
ROOT = Path(__file__).parents[2]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No line a request on stderr."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of the site, built in a folder of the test's own."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    handler = partial(QuietHandler, directory=str(tmp_path / "var" / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_docs_site_is_searchable_and_loads_nothing_from_elsewhere(chromium: Browser, site: str) -> None:
    asked: list[str] = []
    refused: list[str] = []
    page = chromium.new_page(base_url=site)
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: refused.append(message.text) if "Security Policy" in message.text else None)
    page.set_default_timeout(WAIT_MS)
    page.goto("/index.html")
    expect(page.get_by_role("button", name="Search Ctrl+K")).to_be_visible()  # the site's script is there
    page.get_by_role("button", name="Search").click()
    page.get_by_role("combobox", name="Search").fill("watermark")
    expect(page.get_by_text(re.compile(r"^[1-9]\d* results?$"))).to_be_visible()
    page.goto("/design.html")
    expect(page.get_by_role("heading", name="What it is for")).to_be_visible()
    page.close()
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme in {"http", "https"}}
    assert hosts == {urlsplit(site).netloc}
    assert refused == []
