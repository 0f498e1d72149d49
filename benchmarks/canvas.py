"""Hovering over the sampling canvas: from the movement of the pointer to the drawn frame, in Chromium.

    python benchmarks/canvas.py [--moves 400] [--chromium /usr/bin/chromium]

Starts benchmarks/canvas_app.py, moves a real mouse over the photo and takes the time from the event's time stamp to the
end of the script of the frame that draws it. Frames in which nothing changed are not counted. Of several movements that
fall into one frame the first one counts, which waited longest.
"""

import argparse
import math
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

HERE = Path(__file__).parent
WARM_UP_MOVES = 30
PAUSE_MS = 12  # a mouse reports its place 60 to 125 times a second

# The listener on the document is called before the canvas's own and asks for the frame first, so its callback begins
# the frame; that on the stage comes after the canvas's own and ends it.
WATCH = """
stage => {
  const seen = window.seen = { waited: [], worked: [] }
  let first = null, began = null, frames = stage.debug.frames
  document.addEventListener("pointermove", event => {
    if (first === null) requestAnimationFrame(() => { began = performance.now() })
    first ??= event.timeStamp
  }, { capture: true })
  stage.addEventListener("pointermove", () => requestAnimationFrame(() => {
    if (first === null) return
    const now = performance.now()
    if (stage.debug.frames > frames) {
      seen.waited.push(now - first)
      seen.worked.push(now - began)
    }
    frames = stage.debug.frames
    first = null
  }))
}
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--moves", type=int, default=400)
    options.add_argument("--chromium", default=shutil.which("chromium"))
    arguments = options.parse_args()
    server, url = start_app()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(url)
            page.wait_for_selector(".instrument[data-ready=yes]", timeout=120_000)
            stage = page.locator(".stage")
            stage.evaluate(WATCH)
            print(f"Chromium {browser.version}, {arguments.moves} moves, stage {size(stage)}\n")
            print("| what is shown | points | median ms | p95 ms | max ms | script, median ms | frames |")
            print("|---|---|---|---|---|---|---|")
            for title, show, drag in (
                ("one query, hovering", ("points", "this query"), False),
                ("all points of all queries, hovering", ("points", "all queries"), False),
                ("heat map of one query, hovering", ("heat map", "this query"), False),
                ("heat map of all queries, hovering", ("heat map", "all queries"), False),
                ("all points of all queries, dragged", ("points", "all queries"), True),
            ):
                for name in show:
                    page.get_by_role("button", name=name, exact=True).click()
                if drag:
                    zoom_in(page)
                report(title, stage, *measure(page, stage, arguments.moves, drag))
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=20)


def start_app() -> tuple[subprocess.Popen, str]:
    """A Streamlit server with the canvas, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(HERE / "canvas_app.py"), "--server.headless=true"]
    command += [f"--server.port={port}", "--server.address=127.0.0.1"]
    server = subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            return server, url
        except OSError:
            if server.poll() is not None:
                sys.exit("The server ended by itself.")
            time.sleep(0.5)


def measure(page: Page, stage: Locator, moves: int, drag: bool) -> tuple[list[float], list[float]]:
    """Move along a curve that crosses most of the photo; milliseconds waited, and worked in the frame."""
    box = stage.bounding_box()
    assert box
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reach = 0.45 * box["height"]
    page.mouse.move(middle_x, middle_y)
    if drag:
        page.mouse.down()
    for k in range(WARM_UP_MOVES + moves):
        if k == WARM_UP_MOVES:
            page.evaluate("() => { window.seen.waited.length = window.seen.worked.length = 0 }")
        angle = 0.045 * k
        page.mouse.move(middle_x + reach * math.sin(1.7 * angle), middle_y + reach * math.sin(2.3 * angle))
        time.sleep(PAUSE_MS / 1000)
    page.mouse.up()
    page.mouse.move(5, 5)
    seen = page.evaluate("() => window.seen")
    return seen["waited"], seen["worked"]


def zoom_in(page: Page) -> None:
    for _ in range(3):
        page.get_by_role("button", name="Zoom in (+)").click()


def report(title: str, stage: Locator, waited: list[float], worked: list[float]) -> None:
    state = stage.evaluate("stage => { const { drawn, drawnOfAll } = stage.debug; return drawn + drawnOfAll }")
    p95 = statistics.quantiles(waited, n=20)[-1]
    print(
        f"| {title} | {state:,} | {statistics.median(waited):.1f} | {p95:.1f} | {max(waited):.1f} "
        f"| {statistics.median(worked):.1f} | {len(waited)} |"
    )


def size(stage: Locator) -> str:
    box = stage.bounding_box()
    assert box
    return f"{box['width']:.0f} x {box['height']:.0f} px"


if __name__ == "__main__":
    main()
