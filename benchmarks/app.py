"""How long the app lets a visitor wait: the first page of a fresh server, and changes of stage with a cached trace.

    python benchmarks/app.py [--rounds 3] [--chromium /usr/bin/chromium]

The first page is timed in Chromium, from the moment when the server answers until a click is answered. Changes of stage
are timed there for nano and for R18 with random weights: the server's time is that from the click's message to the last
answer, both seen on the page's own websocket, and the bytes are those received on it.
"""

import argparse
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from playwright.sync_api import Browser, Page, WebSocket, sync_playwright

from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.model.weights import save_weights

FIGURE = "[data-testid=stPlotlyChart] .main-svg, [data-testid^=stBidiComponent] :is(canvas, svg)"
SLUGS = "overview backbone aifi ccff query_selection decoder deformable_attention denoising".split()
FIRST_PAGE_S, STAGE_S, STAGE_MB = 5.0, 0.3, 1.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    arguments = options.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        first = [first_page(browser) for _ in range(arguments.rounds)]
        weights = Path(folder) / "r18.safetensors"
        torch.manual_seed(0)
        save_weights(weights, RTDETR(CONFIGS["rtdetrv2_r18vd"]).state_dict(), CONFIGS["rtdetrv2_r18vd"])
        stages = {
            "nano": stage_changes(browser, None, arguments.rounds),
            "R18, random weights": stage_changes(browser, weights, arguments.rounds),
        }
        browser.close()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds\n")
    print("| first page, fresh server | median | greatest | budget |\n|---|---|---|---|")
    for name in first[0]:
        values = [times[name] for times in first]
        budget = f"{FIRST_PAGE_S:g} s" if name == ANSWERED else ""
        print(f"| {name} | {statistics.median(values):.1f} s | {max(values):.1f} s | {budget} |")
    print(
        "\n| stage, cached trace | server, median | greatest | of 0.3 s | sent | of 1 MB |\n|---|---|---|---|---|---|"
    )
    for model, measured in stages.items():
        for slug, (seconds, sent) in measured.items():
            typical, megabytes = statistics.median(seconds), max(sent) / 1e6
            row = f"{typical:.2f} s | {max(seconds):.2f} s | {typical / STAGE_S:.2f}"
            print(f"| {model}: {slug} | {row} | {megabytes:.2f} MB | {megabytes / STAGE_MB:.2f} |")


ANSWERED = "a click on the map is answered"


def first_page(browser: Browser) -> dict[str, float]:
    """Seconds from the server's first answer, in a new process and a new browser context."""
    with served() as (url, ready_after):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(120_000)
        began = time.perf_counter()
        times = {"(server ready after its start)": ready_after}

        def lap(name: str) -> None:
            times[name] = time.perf_counter() - began

        page.goto(url)
        page.get_by_role("navigation", name="Stages").wait_for()
        lap("the map stands")
        page.locator(FIGURE).first.wait_for()
        lap("the figure stands")
        page.get_by_role("link", name="Backbone").click()
        page.get_by_role("heading", level=2).filter(has_text="Backbone").wait_for()
        lap(ANSWERED)
        context.close()
    return times


def stage_changes(browser: Browser, weights: Path | None, rounds: int) -> dict[str, tuple[list[float], list[int]]]:
    """Seconds on the server and bytes sent of each change of stage; a first walk fills the caches."""
    measured: dict[str, tuple[list[float], list[int]]] = {slug: ([], []) for slug in SLUGS}
    with served() as (url, _):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(180_000)
        wire = Wire(page)
        page.goto(url)
        settle(page)
        if weights:
            page.get_by_text("Own weights").last.click()
            page.get_by_role("textbox", name="Path of a weights file").fill(str(weights))
            page.keyboard.press("Enter")
            page.wait_for_function("location.search.includes('model=file')")
            settle(page)
        for turn in range(rounds + 1):
            for slug in SLUGS[1:] + SLUGS[:1]:
                wire.reset()
                page.locator(f"nav a[data-slug={slug}]").click()
                page.locator(f"nav a[data-slug={slug}][aria-current]").wait_for()
                settle(page)
                if turn:
                    measured[slug][0].append(wire.last - wire.first)
                    measured[slug][1].append(wire.received)
        page.context.close()
    return measured


class Wire:
    """The page's websocket: when the first message went out, when the last one came in, and how many bytes came."""

    def __init__(self, page: Page):
        self.reset()
        page.on("websocket", self._listen)

    def reset(self) -> None:
        self.first = self.last = 0.0
        self.received = 0

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, frame: bytes | str) -> None:
        self.first = self.first or time.perf_counter()

    def _received(self, frame: bytes | str) -> None:
        self.last = time.perf_counter()
        self.received += len(frame)


def settle(page: Page) -> None:
    """Wait until the figure stands and the script has run to its end."""
    page.locator(FIGURE).first.wait_for()
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function("!document.querySelector('[data-stale=true]')")


@contextmanager
def served() -> Iterator[tuple[str, float]]:
    """The app in a new process: its address, and the seconds until it answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rtdetr_explained.cli", "app", "--headless", "--port", str(port)]
    began = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield url, time.perf_counter() - began
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


if __name__ == "__main__":
    main()
