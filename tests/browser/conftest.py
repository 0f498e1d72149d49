"""The app behind a real server, and a browser that remembers every error."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from canvas_on_page import Canvas
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).parents[2]
TIMEOUT_MS = 120_000
FIGURE = "[data-testid=stPlotlyChart] .main-svg, [data-testid^=stBidiComponent] :is(canvas, svg)"


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[str], str]]:
    """Starts a Streamlit server with a script, given as a path from the root; returns its address.

    A script that runs already is not started again.
    """
    with ExitStack() as running:
        yield cache(lambda script: running.enter_context(_serving(script)))


@contextmanager
def _serving(script: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if script == "streamlit_app.py":  # as a user starts it
        command = [sys.executable, "-m", "rtdetr_explained.cli", "app", "--headless", f"--port={port}"]
    else:
        command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless=true"]
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
def app_url(serve: Callable[[str], str]) -> str:
    """The address of an app that was started for these tests."""
    return serve("streamlit_app.py")


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
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _note(self, message: ConsoleMessage) -> None:
        # Streamlit's page looks for its server below its own address first, when that has a path.
        if message.type == "error" and not re.search(r"/\w+/_stcore/(health|host-config)$", message.location["url"]):
            self.errors.append(f"{message.text} {message.location['url']}")

    def _count(self, frame: bytes | str) -> None:
        self.received += len(frame)

    def wait_for_stage(self, title: str) -> None:
        """Wait until the heading and the figure of a stage are there and the server has finished."""
        self.page.get_by_role("heading", level=2).filter(has_text=title).wait_for()
        self.page.locator(FIGURE).first.wait_for()
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run to its end and nothing on the page is stale."""
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        self.page.wait_for_function("!document.querySelector('[data-stale=true]')")


@pytest.fixture
def open_browser(browser: Browser, app_url: str):
    """Open the app at a link in a fresh browser of some width and colour scheme; errors fail the test at its end."""
    opened: list[Watched] = []

    def open_at(
        width: int = 1440, scheme: Literal["light", "dark"] = "light", link: str = "", title: str = "Overview"
    ) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        watched = Watched(context.new_page())
        opened.append(watched)
        watched.page.goto(f"{app_url}/{link}")
        watched.wait_for_stage(title)
        return watched

    yield open_at
    for watched in opened:
        watched.page.context.close()
    assert [error for watched in opened for error in watched.errors] == []


@pytest.fixture
def open_canvas(browser: Browser, serve: Callable[[str], str]) -> Iterator[Callable[..., Canvas]]:
    """Open canvas_page.py in a fresh browser session; errors fail the test at its end."""
    opened: list[Canvas] = []
    url = serve("tests/browser/canvas_page.py")

    def open_at(
        query: str = "", width: int = 1280, scheme: Literal["light", "dark"] = "light", touch: bool = False
    ) -> Canvas:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=touch, reduced_motion="reduce"
        )
        context.set_default_timeout(TIMEOUT_MS)
        opened.append(Canvas(context.new_page(), f"{url}/?{query}"))
        return opened[-1]

    yield open_at
    for canvas in opened:
        canvas.page.context.close()
    assert [error for canvas in opened for error in canvas.errors] == []
