"""The app behind a real server, and a browser that remembers every error."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
TIMEOUT_MS = 60_000


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """The address of an app that was started for these tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless=true"]
    command += [f"--server.port={port}", "--server.address=127.0.0.1"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, "the server ended by itself"
                time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page together with what went wrong on it and how many bytes the server sent."""

    def __init__(self, page: Page):
        self.page = page
        self.errors: list[str] = []
        self.received = 0
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, frame: bytes | str) -> None:
        self.received += len(frame)

    def wait_for_stage(self, title: str) -> None:
        """Wait until the heading and the figure of a stage are there and the server has finished."""
        self.page.get_by_role("heading", level=2).filter(has_text=title).wait_for()
        self.page.locator("[data-testid=stPlotlyChart] .main-svg").first.wait_for()
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run to its end and nothing on the page is stale."""
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        self.page.wait_for_function("!document.querySelector('[data-stale=true]')")


@pytest.fixture
def open_browser(browser: Browser, app_url: str):
    """Open the app in a fresh browser session of some width and colour scheme; errors fail the test at its end."""
    opened: list[Watched] = []

    def open_at(width: int = 1440, scheme: Literal["light", "dark"] = "light") -> Watched:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        watched = Watched(context.new_page())
        opened.append(watched)
        watched.page.goto(app_url)
        watched.wait_for_stage("Overview")
        return watched

    yield open_at
    for watched in opened:
        watched.page.context.close()
    assert [error for watched in opened for error in watched.errors] == []
