"""Where the canvas draws a point, what its loupe shows and what it says, against the trace.

Nothing is taken from what the canvas reports of itself: the calls it makes to draw are noted, and the photo it draws
tells where the image lies on the stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from canvas_on_page import BEST, Canvas
from playwright.sync_api import Browser

import rtdetr_explained as rx
from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.drawing.colors import LEVEL_COLORS
from rtdetr_explained.tracing.trace import Trace

LAYER = 2
PER_HEAD = 12  # points of a head: four on each level
CELL_OPACITY = {"marks": 0.65, "loupe": 0.75}  # of a cell that counts whole

# Notes every filled shape, rectangle, text and picture since its canvas was last cleared.
RECORDER = """
window.drawn = { photo: [], marks: [], loupe: [] }
const proto = CanvasRenderingContext2D.prototype
const logOf = ({ canvas }) =>
  canvas.closest(".loupe") ? window.drawn.loupe : (canvas.isConnected && window.drawn[canvas.className]) || []
const after = (name, note) => {
  const original = proto[name]
  proto[name] = function (...values) {
    note.call(this, ...values)
    return original.apply(this, values)
  }
}
after("clearRect", function () { logOf(this).length = 0 })
after("beginPath", function () { this.path = [] })
after("moveTo", function (x, y) { this.path.push([x, y]) })
after("lineTo", function (x, y) { this.path.push([x, y]) })
after("arc", function (x, y, r) { this.path.push([x - r, y - r], [x + r, y + r]) })
after("rect", function (x, y, w, h) { this.path.push([x, y], [x + w, y + h]) })
after("fill", function () {
  const [xs, ys] = [0, 1].map((k) => this.path.map((point) => point[k]))
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
  const [x, y] = [(left + right) / 2, (top + bottom) / 2]
  logOf(this).push({ kind: "shape", color: this.fillStyle, x, y, wide: right - left })
})
after("fillRect", function (x, y, w, h) {
  logOf(this).push({ kind: "rectangle", color: this.fillStyle, alpha: this.globalAlpha, x, y, w, h })
})
after("fillText", function (text, x, y) { logOf(this).push({ kind: "text", text: `${text}`, x, y }) })
after("drawImage", function (image, x, y, w, h) { logOf(this).push({ kind: "photo", x, y, w, h }) })
"""


@pytest.fixture(scope="module")
def trace() -> Trace:
    """The trace that canvas_page.py shows."""
    return rx.load("nano").trace(generate_scene(3, SceneConfig()).image)


@pytest.fixture
def open_noted(browser: Browser, serve: Callable[[str], str]):
    """Open canvas_page.py in a browser that notes what is drawn."""
    contexts = []

    def open_at(query: str) -> Canvas:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(120_000)
        context.add_init_script(RECORDER)
        contexts.append(context)
        canvas = Canvas(context.new_page(), f"{serve('tests/browser/canvas_page.py')}/?{query}")
        canvas.page.mouse.move(2, 2)
        canvas.settle()
        return canvas

    yield open_at
    for context in contexts:
        context.close()


def drawn(canvas: Canvas, where: str, kind: str) -> list[dict[str, Any]]:
    """What was drawn on one of the canvases."""
    return [one for one in canvas.page.evaluate("where => window.drawn[where]", where) if one["kind"] == kind]


def on_stage(canvas: Canvas, places: np.ndarray) -> np.ndarray:
    """Places in 0..1 of the image as pixels of the stage, by where the photo is drawn."""
    (photo,) = drawn(canvas, "photo", "photo")
    return np.array([photo["x"], photo["y"]]) + places * [photo["w"], photo["h"]]


def site(trace: Trace, name: str) -> np.ndarray:
    """A tensor of the cross-attention of the shown layer, of the best query: H P …"""
    return trace[f"decoder.layers.{LAYER}.cross_attn.{name}"].array[BEST].astype(float)


def cells_read(trace: Trace, n: int) -> dict[tuple[int, int], float]:
    """Row and column of the four cells that a point reads, with their shares: bilinear, by the middles of cells."""
    level = n % PER_HEAD // 4
    rows, columns = trace.map_sizes[level]
    x, y = site(trace, "sampling_locations").reshape(-1, 2)[n] * [columns, rows]
    shares = {}
    for row in (int(np.floor(y - 0.5)), int(np.floor(y - 0.5)) + 1):
        for column in (int(np.floor(x - 0.5)), int(np.floor(x - 0.5)) + 1):
            shares[row, column] = (1 - abs(y - (row + 0.5))) * (1 - abs(x - (column + 0.5)))
    assert sum(shares.values()) == pytest.approx(1)
    return shares


def telling_point(trace: Trace, level: int) -> int:
    """The point of a level whose numbers differ most between x and y, and between rows and columns of its cells."""

    def tells(n: int) -> float:
        x, y = site(trace, "offsets").reshape(-1, 2)[n]
        (a, b), (c, d) = np.reshape(list(cells_read(trace, n).values()), (2, 2))
        rows, columns = trace.map_sizes[level]
        inside = all(0 <= row < rows and 0 <= column < columns for row, column in cells_read(trace, n))
        return inside * min(abs(x - y), 4 * abs(a + b - c - d), 4 * abs(a + c - b - d), 4 * abs(b - c))

    points = [n for n in range(8 * PER_HEAD) if n % PER_HEAD // 4 == level]
    best = max(points, key=tells)
    assert tells(best) > 0.2
    return best


def test_every_point_is_drawn_where_the_trace_has_it(open_noted, trace: Trace):
    canvas = open_noted(f"query={BEST}")
    places = on_stage(canvas, site(trace, "sampling_locations").reshape(-1, 2))
    weights = site(trace, "weights").ravel()
    marks = [mark for mark in drawn(canvas, "marks", "shape") if mark["color"].upper() in LEVEL_COLORS]
    assert len(marks) == len(places) == 96
    left = list(marks)
    for n in np.argsort(-weights, kind="stable"):
        color = LEVEL_COLORS[n % PER_HEAD // 4]
        mark = min(left, key=lambda one: (one["color"].upper() != color, np.hypot(*places[n] - [one["x"], one["y"]])))
        assert mark["color"].upper() == color
        np.testing.assert_allclose([mark["x"], mark["y"]], places[n], atol=0.35)
        left.remove(mark)
    heavy = [
        next(m for m in marks if np.hypot(*places[n] - [m["x"], m["y"]]) < 0.5) for n in np.argsort(-weights)[[0, 40]]
    ]
    assert heavy[0]["wide"] > heavy[1]["wide"]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_cells_of_a_point_and_their_shares_are_those_it_reads(open_noted, trace: Trace, level: int):
    n = telling_point(trace, level)
    canvas = open_noted(f"query={BEST}&point={n}")
    shares, (rows, columns) = cells_read(trace, n), trace.map_sizes[level]

    # On the photo.
    cells = [
        one
        for one in drawn(canvas, "marks", "rectangle")
        if one["color"].upper() == LEVEL_COLORS[level] and one["w"] > 3.5
    ]
    corners = {cell: on_stage(canvas, np.array([cell[1] / columns, cell[0] / rows])) for cell in shares}
    assert len(cells) == 4
    for cell, corner in corners.items():
        near = min(cells, key=lambda one: np.hypot(*corner - [one["x"], one["y"]]))
        np.testing.assert_allclose([near["x"], near["y"]], corner, atol=0.1)
        assert near["alpha"] / CELL_OPACITY["marks"] == pytest.approx(shares[cell], abs=0.02)

    # In the loupe, whose rulers tell rows and columns.
    texts = drawn(canvas, "loupe", "text")
    whole = [one for one in texts if one["text"].lstrip("-").isdigit()]
    across = {int(one["text"]): one["x"] for one in whole if one["y"] == min(t["y"] for t in whole)}
    down = {int(one["text"]): one["y"] for one in whole if one["x"] == min(t["x"] for t in whole)}
    assert len(across) == len(down) == 4
    side = (max(across.values()) - min(across.values())) / 3
    cells = [one for one in drawn(canvas, "loupe", "rectangle") if one["color"].upper() == LEVEL_COLORS[level]]
    numbers = [one for one in texts if "." in one["text"]]
    assert len(cells) == len(numbers) == 4
    for (row, column), share in shares.items():
        middle = np.array([across[column], down[row]])
        cell = min(cells, key=lambda one: np.hypot(*middle - [one["x"] + side / 2, one["y"] + side / 2]))
        np.testing.assert_allclose([cell["x"] + side / 2, cell["y"] + side / 2], middle, atol=0.6)
        assert cell["alpha"] / CELL_OPACITY["loupe"] == pytest.approx(share, abs=0.02)
        (number,) = [one for one in numbers if np.abs(middle - [one["x"], one["y"]]).max() < side / 2]
        assert float(number["text"].split("×")[0]) == pytest.approx(share, abs=0.02)
    x, y = site(trace, "sampling_locations").reshape(-1, 2)[n] * [columns, rows]
    (mark,) = [one for one in drawn(canvas, "loupe", "shape") if one["color"].upper() == LEVEL_COLORS[level]]
    first_column, first_row = min(across), min(down)
    expected = [across[first_column] + (x - first_column - 0.5) * side, down[first_row] + (y - first_row - 0.5) * side]
    np.testing.assert_allclose([mark["x"], mark["y"]], expected, atol=0.6)

    # In numbers.
    facts = canvas.page.locator(".facts.point dd").all_inner_texts()
    offset, place = (
        np.array([float(k) for k in text.replace("−", "-").replace(" px", "").split(",")[:2]]) for text in facts[:2]
    )
    np.testing.assert_allclose(offset, site(trace, "offsets").reshape(-1, 2)[n], atol=0.012)
    np.testing.assert_allclose(place, site(trace, "sampling_locations").reshape(-1, 2)[n] * trace.image_size, atol=0.6)
    assert float(facts[2]) == pytest.approx(site(trace, "weights").ravel()[n], abs=1e-4)


def test_the_bar_of_levels_shows_the_share_of_each_in_their_order(open_noted, trace: Trace):
    canvas = open_noted(f"query={BEST}")
    weights = site(trace, "weights").reshape(8, 3, 4).sum((0, 2))
    shares = weights / weights.sum()
    assert (
        np.abs(np.subtract.outer(shares, shares))[np.triu_indices(3, 1)].min() > 0.02
    )  # else their order would not tell
    bar = canvas.page.locator(".shares i").evaluate_all(
        "parts => parts.map(part => [Number(part.style.flexGrow), getComputedStyle(part).backgroundColor])"
    )
    colors = [f"rgb({int(c[1:3], 16)}, {int(c[3:5], 16)}, {int(c[5:7], 16)})" for c in LEVEL_COLORS]
    assert [color for _, color in bar] == colors
    np.testing.assert_allclose([share for share, _ in bar], shares, atol=1e-3)
    words = [text.split() for text in canvas.page.locator(".levels span").all_inner_texts()]
    assert [name for name, _ in words] == ["S3", "S4", "S5"]
    np.testing.assert_allclose([float(share) for _, share in words], shares, atol=0.0051)


def test_what_the_level_filter_hides_has_no_share(open_noted):
    canvas = open_noted(f"query={BEST}&level=1")
    assert [text.split() for text in canvas.page.locator(".levels span").all_inner_texts()] == [["S4", "1.00"]]
    assert canvas.page.locator(".shares i").count() == 1
