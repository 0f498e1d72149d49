"""The sampling canvas for everybody: as a table, with fingers, at any width, whatever classes are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from canvas_on_page import BEST, POINTS, Canvas
from playwright.sync_api import expect


def test_the_table_says_what_is_drawn_and_names_stay_text(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(f"query={BEST}")
    canvas.page.get_by_text("Points as a table").click()
    rows = canvas.page.locator(".twin tbody tr")
    expect(rows).to_have_count(POINTS)
    assert float(rows.first.locator("td").last.inner_text()) >= float(rows.last.locator("td").last.inner_text())
    canvas.choose("Head", "0")
    expect(rows).to_have_count(12)
    total = sum(float(text) for text in canvas.page.locator(".twin td:last-child").all_inner_texts())
    assert total == pytest.approx(1, abs=12 * 0.00005)

    name = '<img src=x onerror="window.harmed=1">'
    expect(canvas.page.locator(".facts.queries h4")).to_contain_text(name)
    expect(canvas.page.locator("caption")).to_contain_text(name)
    expect(canvas.page.locator(".live")).to_contain_text(name)
    assert canvas.page.locator(".instrument img").count() == 0
    assert canvas.page.evaluate("() => window.harmed") is None


def test_fingers_tap_press_and_pinch(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(width=390, touch=True)
    far = canvas.far_query()
    canvas.page.touchscreen.tap(*canvas.place(far))
    canvas.settle()
    assert (canvas.state["query"], canvas.state["pinned"]) == (far, None)
    canvas.page.touchscreen.tap(*canvas.place(far))
    canvas.settle()
    assert canvas.state["pinned"] == far

    devtools = canvas.page.context.new_cdp_session(canvas.page)
    x, y = canvas.place(BEST)

    def touch(kind: str, *xs: float) -> None:
        points = [{"x": at, "y": y, "id": k} for k, at in enumerate(xs)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", x - 20, x + 20)
    for spread in (30, 40, 60):
        touch("touchMove", x - spread, x + spread)
    touch("touchEnd")
    canvas.settle()
    assert canvas.state["zoom"] == pytest.approx(3, rel=0.1)

    canvas.press("0", "Escape", "Escape")
    x, y = canvas.place(far)
    touch("touchStart", x)
    canvas.page.wait_for_timeout(700)
    touch("touchEnd")
    canvas.settle()
    assert canvas.state["pinned"] == far


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (800, "dark"), (390, "light")])
def test_nothing_overlaps_or_is_cut_off(
    open_canvas: Callable[..., Canvas], width: int, scheme: Literal["light", "dark"]
):
    canvas = open_canvas(f"query={BEST}", width=width, scheme=scheme)
    boxes = canvas.page.locator(".bar .group, .stage, .readout > *, .key, .help").evaluate_all(
        """parts => parts.map(part => {
          const { left, top, right, bottom } = part.getBoundingClientRect()
          return [left, top, right, bottom]
        })"""
    )
    for k, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= width
        for l, t, r, b in boxes[:k]:  # noqa: E741, left top right bottom of another
            assert left >= r - 0.5 or right <= l + 0.5 or top >= b - 0.5 or bottom <= t + 0.5
    assert canvas.page.evaluate("() => document.documentElement.scrollWidth") <= width
    picture = canvas.stage.screenshot()
    assert len(picture) > 20_000  # a photo with marks, not an empty frame
