"""The sampling canvas on a page, for tests: what is on its stage, and ways to point at it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

BEST = 1  # the query with the best score in the scene of canvas_page.py
POINTS = 96  # of each query


class Canvas:
    """The canvas on a page, with shortcuts to what is on its stage."""

    def __init__(self, page: Page, url: str):
        self.page = page
        self.errors: list[str] = []
        self.received = 0
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        page.goto(url)
        page.wait_for_selector(".instrument[data-ready=yes]", timeout=60_000)
        self.stage: Locator = page.locator(".stage")
        self.settle()

    def _count(self, frame: bytes | str) -> None:
        self.received += len(frame)

    def settle(self) -> None:
        """Wait until Python has answered every change, the script has run to its end, and a frame is drawn."""
        self.page.wait_for_function("stage => stage.debug.settled", arg=self.stage.element_handle())
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        self.draw()

    def draw(self) -> None:
        """Wait for a drawn frame."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    @property
    def state(self) -> dict[str, Any]:
        """What the canvas says of itself."""
        return self.stage.evaluate("stage => { const { place, ...rest } = stage.debug; return rest }")

    def place(self, query: int, point: int | None = None) -> tuple[float, float]:
        """Where a query's reference point or one of its points lies on the page."""
        x, y = self.stage.evaluate("(stage, [query, point]) => stage.debug.place(query, point)", [query, point])
        box = self.stage.bounding_box()
        assert box
        return box["x"] + x, box["y"] + y

    def hover(self, query: int, point: int | None = None) -> None:
        self.page.mouse.move(*self.place(query, point))
        self.draw()

    def click(self, query: int, point: int | None = None, shift: bool = False) -> None:
        self.hover(query, point)
        if shift:
            self.page.keyboard.down("Shift")
        self.page.mouse.down()
        self.page.mouse.up()
        if shift:
            self.page.keyboard.up("Shift")
        self.settle()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.stage.press(key)
        self.settle()

    def choose(self, group: str, name: str) -> None:
        self.page.get_by_role("group", name=group, exact=True).get_by_role("button", name=name, exact=True).click()
        self.settle()

    def expect_params(self, **params: object) -> None:
        """Wait until these, and no others, are the query parameters of the address; zoom aside, unless it is asked."""
        wanted = {name: str(value) for name, value in params.items()}
        try:
            self.page.wait_for_function(
                """wanted => {
                  const asked = ([name]) => name !== "zoom" || wanted.some(([other]) => other === name)
                  const there = [...new URLSearchParams(location.search)].filter(asked).sort()
                  return JSON.stringify(there) === JSON.stringify(wanted)
                }""",
                arg=sorted(wanted.items()),
                timeout=10_000,
            )
        except PlaywrightTimeout:
            raise AssertionError(f"{self.page.evaluate('location.search')!r} instead of {wanted}") from None

    def far_query(self) -> int:
        """A query whose reference point lies apart from all others and from the best query's."""
        return self.stage.evaluate(
            """(stage, best) => {
              const all = [...Array(100).keys()].map(query => stage.debug.place(query))
              const gap = q => Math.min(...all.map(([x, y], k) =>
                k === q ? Infinity : Math.hypot(x - all[q][0], y - all[q][1]) + (k === best ? -150 : 0)))
              return all.map((_, q) => q).sort((a, b) => gap(b) - gap(a))[0]
            }""",
            BEST,
        )
