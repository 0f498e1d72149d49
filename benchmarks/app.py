"""How long the app lets a visitor wait: the first page of a fresh server, and changes of stage with a cached trace.

    python benchmarks/app.py [--rounds 3] [--chromium /usr/bin/chromium]

The first page is timed in Chromium, from the moment when the server answers. A change of stage is timed for nano and
for R18 with random weights: on the server alone, by running its script in this process, and in Chromium, from the click
to the figure; the bytes are those that came over the page's websocket.
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
from playwright.sync_api import Browser, Page, sync_playwright
from streamlit.testing.v1 import AppTest

from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.weights.saving import save_weights

ROOT = Path(__file__).parents[1]
FIGURE = "[data-testid=stPlotlyChart] .main-svg, [data-testid^=stBidiComponent] :is(canvas, svg)"
SLUGS = "overview backbone aifi ccff query_selection decoder deformable_attention denoising".split()
FIRST_PAGE_S, STAGE_S, STAGE_MB = 5.0, 0.3, 1.0
ANSWERED = "a click on the map is answered"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    arguments = options.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        first = [first_page(browser) for _ in range(arguments.rounds)]
        weights = Path(folder) / "r18.safetensors"
        models = {"nano": None, "R18, random weights": weights}
        torch.manual_seed(0)
        save_weights(weights, RTDETR(CONFIGS["rtdetrv2_r18vd"]).state_dict(), CONFIGS["rtdetrv2_r18vd"])
        seen = {name: seen_changes(browser, file, arguments.rounds) for name, file in models.items()}
        browser.close()
        stages = {
            name: {slug: (times, *seen[name][slug]) for slug, times in server_times(file, arguments.rounds).items()}
            for name, file in models.items()
        }
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds\n")
    print("| first page, fresh server | median | greatest | budget |\n|---|---|---|---|")
    for name in first[0]:
        values = [times[name] for times in first]
        budget = f"{FIRST_PAGE_S:g} s" if name == ANSWERED else ""
        print(f"| {name} | {statistics.median(values):.1f} s | {max(values):.1f} s | {budget} |")
    print("\n| stage, cached trace | server, median | greatest | of 0.3 s | sent | of 1 MB | in the browser |")
    print("|---|---|---|---|---|---|---|")
    for model, measured in stages.items():
        for slug, (server, browser_s, sent) in measured.items():
            typical, megabytes = statistics.median(server), max(sent) / 1e6
            row = f"{typical:.2f} s | {max(server):.2f} s | {typical / STAGE_S:.2f}"
            row += f" | {megabytes:.2f} MB | {megabytes / STAGE_MB:.2f} | {statistics.median(browser_s):.1f} s"
            print(f"| {model}: {slug} | {row} |")


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
        page.get_by_role("heading", level=2).wait_for()
        page.locator(FIGURE).first.wait_for()
        lap("the figure stands")
        page.get_by_role("link", name="Backbone").click()
        page.get_by_role("heading", level=2).filter(has_text="Backbone").wait_for()
        lap(ANSWERED)
        context.close()
    return times


def server_times(weights: Path | None, rounds: int) -> dict[str, list[float]]:
    """Seconds of the script for each stage, run without a browser; a first walk fills the caches."""
    sys.path.insert(0, str(ROOT))  # this file's own name is that of the package it must not hide
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    if weights:
        app.session_state["weights_path"] = str(weights)
        app.query_params["model"] = "file"
    seconds: dict[str, list[float]] = {slug: [] for slug in SLUGS}
    for turn in range(rounds + 1):
        for slug in SLUGS:
            app.switch_page(f"app/stages/{slug}.py")
            began = time.perf_counter()
            app.run()
            if turn:
                seconds[slug].append(time.perf_counter() - began)
            assert not app.exception
    return seconds


def seen_changes(browser: Browser, weights: Path | None, rounds: int) -> dict[str, tuple[list[float], list[int]]]:
    """Seconds from the click to the figure, and bytes received, for each stage; a first walk fills the caches."""
    measured: dict[str, tuple[list[float], list[int]]] = {slug: ([], []) for slug in SLUGS}
    with served() as (url, _):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(180_000)
        received = [0]
        page.on("websocket", lambda wire: wire.on("framereceived", lambda frame: received.append(len(frame))))
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
                received.clear()
                began = time.perf_counter()
                page.locator(f"nav a[data-slug={slug}]").click()
                page.locator(f"nav a[data-slug={slug}][aria-current]").wait_for()
                settle(page)
                if turn:
                    measured[slug][0].append(time.perf_counter() - began)
                    measured[slug][1].append(sum(received))
        page.context.close()
    return measured


def settle(page: Page) -> None:
    """Wait until the figure stands and the script has run to its end."""
    page.get_by_role("heading", level=2).wait_for()
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
