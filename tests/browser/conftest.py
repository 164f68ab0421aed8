"""A real Chromium before the alert pipeline as shipped, started once for all tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.live_stack import LiveStack

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic", "--disable-dev-shm-usage"),
)
WAIT_MS = 60_000
"""How long a page may take to show something before a test fails; the machine may be busy."""

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="package")  # with the last test of this folder it ends, and costs the others nothing
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    stack = LiveStack(tmp_path_factory.mktemp("live"))
    with closing(stack):
        stack.open()
        yield stack


@pytest.fixture(scope="package")  # while Playwright runs, no test can run an event loop of its own
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, live: LiveStack) -> Iterator[BrowserContext]:
    with chromium.new_context(base_url=live.page, viewport={"width": 1440, "height": 900}, locale="en-GB") as context:
        context.set_default_timeout(WAIT_MS)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which an error of a script, or anything that the policy forbids, fails the test."""
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Security Policy" in message.text else None)
    page.on("dialog", lambda dialog: errors.append(f"a dialog: {dialog.message}"))
    yield page
    assert errors == []
