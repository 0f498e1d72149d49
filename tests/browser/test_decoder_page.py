"""The decoder's page in a real browser: play, scrubbing, clicks, keys and the threshold."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

import rtdetr_explained as rx
from app.session import images
from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.illustrations.decoder.trajectory import step_boxes
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace

SCENE = "scene-8"
PLAYER = ".player[data-position]"
RECORD = """player => {
  window.positions = []
  new MutationObserver(() => window.positions.push(player.dataset.position)).observe(player, { attributes: true })
}"""
BOX = ".photo .selected-box"


@pytest.fixture(scope="module")
def trace() -> Trace:
    """What the page shows, computed here."""
    return rx.load("nano").trace(images.load(SCENE))


@pytest.fixture(scope="module")
def boxes(trace: Trace) -> np.ndarray:
    """The boxes at every step, x0 y0 x1 y1 in pixels."""
    return cxcywh_to_xyxy_px(step_boxes(choose(trace)), trace.image_size)


@pytest.fixture
def open_decoder(open_browser):
    """Open the decoder's page and wait until the moving figure has come to rest."""

    def open_at(link: str = "", **options):
        app = open_browser(link=f"decoder?image={SCENE}&{link}", title="Decoder", **options)
        rest(app)
        return app

    return open_at


def rest(app, step: int | None = None) -> None:
    """Wait until the boxes stand still, at `step`."""
    wanted = r"^\d\.000$" if step is None else rf"^{step}\.000$"
    app.page.wait_for_function(
        """([selector, wanted]) => {
          const hosts = [...document.querySelectorAll('*')].filter((e) => e.shadowRoot)
          const player = hosts.map((e) => e.shadowRoot.querySelector(selector)).find(Boolean)
          if (!player || player.querySelector('.play').textContent !== 'Play') return false
          const before = window.lastPosition
          window.lastPosition = player.dataset.position
          return new RegExp(wanted).test(player.dataset.position) && before === player.dataset.position
        }""",
        arg=[PLAYER, wanted],
        polling=150,
    )


def drawn_box(app) -> np.ndarray:
    """The selected query's box as it is drawn, x0 y0 x1 y1 in pixels of the image."""
    outline = app.page.locator(BOX).get_attribute("d")
    x0, y0, x1, y1 = map(float, re.findall(r"-?[\d.]+(?:e-?\d+)?", outline)[:4])
    return np.array([x0, y0, x1, y1])


def place_of(app, x: float, y: float) -> dict[str, float]:
    """Where a place of the image is on the photo, in pixels from its corner."""
    return app.page.locator(".photo").evaluate(
        """(svg, [x, y]) => {
          const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM())
          const corner = svg.getBoundingClientRect()
          return { x: at.x - corner.x, y: at.y - corner.y }
        }""",
        [x, y],
    )


def alone_at(boxes: np.ndarray, size: tuple[int, int], than: int) -> int:
    """A query whose final centre lies far from all others and inside the image."""
    centres = (boxes[-1, :, :2] + boxes[-1, :, 2:]) / 2
    distance = np.linalg.norm(centres[:, None] - centres, axis=-1) + np.eye(len(centres)) * 1e9
    inside = ((centres > 20) & (centres < np.array(size) - 20)).all(-1)
    far = np.where(inside, distance.min(1), 0)
    far[than] = 0
    return int(far.argmax())


def test_play_moves_the_box_through_the_layers_without_the_server(open_decoder, boxes):
    app = open_decoder("query=10&layer=1")
    sent = []
    app.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    app.page.reload()
    app.wait_for_stage("Decoder")
    rest(app, 1)
    np.testing.assert_allclose(drawn_box(app), boxes[1, 10], atol=1e-3)
    sent.clear()
    app.page.locator(PLAYER).evaluate(RECORD)
    app.page.get_by_role("button", name="Play", exact=True).click()
    app.page.get_by_role("button", name="Pause", exact=True).wait_for()
    before = list(sent)
    while app.page.locator(".play").text_content() == "Pause":
        assert before == []  # nothing had been sent when it still played
        before = list(sent)
    rest(app, 3)
    seen = app.page.evaluate("window.positions")
    assert len({position for position in seen if not position.endswith(".000")}) >= 3
    assert seen == sorted(seen)
    np.testing.assert_allclose(drawn_box(app), boxes[3, 10], atol=1e-3)
    assert "4 other queries end on this object" in str(app.page.locator(".words").text_content())
    app.page.wait_for_function("location.search.includes('layer=3')")  # the layer it rests on is the page's
    app.settle()


def test_scrubbing_shows_each_computed_box_and_the_layer_follows(open_decoder, boxes):
    app = open_decoder("query=10")
    scrub = app.page.get_by_role("slider", name="Decoder layer")
    scrub.focus()
    for step in (2, 1):
        app.page.keyboard.press("ArrowLeft")
        app.page.wait_for_function(f"location.search.includes('layer={step}')")
        app.settle()
        rest(app, step)
        np.testing.assert_allclose(drawn_box(app), boxes[step, 10], atol=1e-3)
    app.page.keyboard.press("ArrowLeft")
    rest(app, 0)
    np.testing.assert_allclose(drawn_box(app), boxes[0, 10], atol=1e-3)
    assert "/decoder" in app.page.url  # the page's own shortcut on this key stayed out of it
    assert "layer=1" in app.page.url
    assert "the boxes that query selection proposes" in str(app.page.locator(".words").text_content())


def test_the_layer_chosen_on_the_page_moves_the_figure(open_decoder, boxes):
    app = open_decoder("query=10")
    group = app.page.get_by_test_id("stButtonGroup").filter(has_text="Decoder layer")
    group.get_by_role("radio", name="1", exact=True).click()
    rest(app, 1)
    np.testing.assert_allclose(drawn_box(app), boxes[1, 10], atol=1e-3)


def test_links_join_the_query_to_those_it_attends_to_most(open_decoder, trace, boxes):
    app = open_decoder("query=10&layer=2&head=2")
    weights = trace["decoder.layers.1.self_attn.weights"].array[2, 10].astype(float)
    weights[10] = -1
    lines = app.page.locator(".photo .attention line")
    linked = [int(q) for q in lines.evaluate_all("lines => lines.map((line) => line.dataset.query)")]
    assert linked == np.argsort(-weights, kind="stable")[:8].tolist()
    ends = lines.evaluate_all("lines => lines.map((l) => [l.x1, l.y1, l.x2, l.y2].map((end) => end.baseVal.value))")
    centres = (boxes[1, :, :2] + boxes[1, :, 2:]) / 2  # where layer 2 begins
    np.testing.assert_allclose(ends, [[*centres[10], *centres[q]] for q in linked], atol=1e-2)
    app.page.get_by_role("checkbox", name="attention").uncheck()
    assert lines.count() == 0


def test_a_click_selects_and_with_shift_compares(open_decoder, trace, boxes):
    app = open_decoder("query=10")
    query = alone_at(boxes, trace.image_size, than=10)
    centre = (boxes[-1, query, :2] + boxes[-1, query, 2:]) / 2
    place = place_of(app, *centre)
    app.page.locator(".photo").hover(position=place)
    assert f"query {query} ·" in str(app.page.locator(".tip").text_content())
    app.page.locator(".photo").click(position=place, modifiers=["Shift"])
    app.page.wait_for_function(f"location.search.includes('compare={query}')")
    app.settle()
    rest(app)
    assert app.page.locator(".photo .compared-box").get_attribute("d") != ""
    app.page.locator(".photo").click(position=place)
    app.page.wait_for_function(f"location.search.includes('query={query}')")
    app.settle()
    rest(app)
    assert "compare" not in app.page.url
    np.testing.assert_allclose(drawn_box(app), boxes[-1, query], atol=1e-3)
    expect(app.page.get_by_role("spinbutton", name="Selected query")).to_have_value(str(query))


def test_the_threshold_changes_the_boxes(open_decoder, trace):
    app = open_decoder("query=10&threshold=0.5")

    def shown() -> int:
        return app.page.locator(".photo .found-boxes").get_attribute("d").count("M")

    assert shown() == ((trace.scores > 0.5) & (np.arange(100) != 10)).sum()
    app.page.get_by_role("slider", name="Score threshold").focus()
    for _ in range(30):
        app.page.keyboard.press("ArrowRight")
    app.page.wait_for_function("location.search.includes('threshold=0.8')")
    app.settle()
    rest(app)
    assert shown() == ((trace.scores > 0.8) & (np.arange(100) != 10)).sum()


def test_who_wants_no_motion_sees_only_computed_boxes(open_decoder):
    app = open_decoder("query=10")
    app.page.emulate_media(reduced_motion="reduce")
    app.page.locator(PLAYER).evaluate(RECORD)
    app.page.get_by_role("button", name="Play", exact=True).click()
    app.page.get_by_role("button", name="Pause", exact=True).wait_for()
    rest(app, 3)
    assert set(app.page.evaluate("window.positions")) == {"0.000", "1.000", "2.000", "3.000"}


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits(open_decoder, tmp_path, width, scheme):
    app = open_decoder("query=10&compare=12", width=width, scheme=scheme)
    assert app.received < 1_000_000 + 400_000  # what a page sends, and the styles and scripts of the app's own parts
    overflow = "e => e.scrollWidth - e.clientWidth"
    assert app.page.get_by_test_id("stMain").evaluate(overflow) <= 0
    assert app.page.locator(".player").evaluate(overflow) <= 0
    assert app.page.get_by_test_id("stException").count() == 0
    app.page.screenshot(path=tmp_path / f"decoder-{width}-{scheme}.png", full_page=True)
