"""The sampling canvas: what the pointer, the keys and the controls do, and what Python hears of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from canvas_on_page import BEST, POINTS, Canvas
from playwright.sync_api import expect


def test_hovering_shows_a_query_and_then_a_point_in_numbers(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas()
    assert canvas.state["query"] == BEST
    assert canvas.state["drawn"] == POINTS
    far = canvas.far_query()
    canvas.hover(far)
    assert canvas.state["query"] == far
    expect(canvas.page.locator(".facts.queries")).to_contain_text(f"Query {far}")
    canvas.page.mouse.move(5, 5)
    canvas.press("f")
    frames, received = canvas.state["frames"], canvas.received

    canvas.hover(BEST, 77)
    focus = canvas.state["focus"]
    assert canvas.state["frames"] > frames
    point = canvas.page.locator(".facts.point")
    expect(point).to_contain_text(
        f"head {focus['head']} · {['S3', 'S4', 'S5'][focus['level']]} · point {focus['point']}"
    )
    for fact in ("Raw offset", "Lies at", " px", "Weight", f"{BEST}, number"):
        expect(point).to_contain_text(fact)
    canvas.expect_params()
    assert canvas.received - received < 500  # nothing but signs of life goes over the wire


def test_a_click_pins_and_escape_lets_go(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas()
    far = canvas.far_query()
    canvas.click(far)
    assert canvas.state["pinned"] == far
    canvas.expect_params(query=far)
    canvas.hover(BEST)
    assert canvas.state["query"] == far  # the pinned one stays
    canvas.press("Escape", "Escape")
    assert canvas.state["pinned"] is None
    canvas.expect_params()
    canvas.page.mouse.move(5, 5)
    canvas.settle()
    assert canvas.state["query"] == BEST


def test_a_click_on_a_point_chooses_it_too(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(f"query={BEST}")
    canvas.press("f")
    canvas.hover(BEST, 77)
    n = canvas.state["hoverPoint"] % POINTS
    canvas.click(BEST, 77)
    canvas.expect_params(query=BEST, point=n)
    canvas.page.mouse.move(5, 5)
    canvas.settle()
    assert canvas.state["point"] == n
    assert canvas.state["focus"] is not None


def test_shift_click_compares_two_queries(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(f"query={BEST}")
    far = canvas.far_query()
    canvas.click(far, shift=True)
    assert canvas.state["compare"] == far
    assert canvas.state["drawn"] == 2 * POINTS
    canvas.expect_params(query=BEST, compare=far)
    expect(canvas.page.locator(".facts.queries em")).to_have_text(["pinned", "compared"])
    canvas.press("Escape")
    canvas.expect_params(query=BEST)


def test_head_level_and_weight_filter_what_is_drawn(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(f"query={BEST}")
    canvas.choose("Head", "2")
    assert canvas.state["drawn"] == 12
    canvas.expect_params(query=BEST, head=2)
    canvas.choose("Level", "S4")
    assert canvas.state["drawn"] == 4
    canvas.expect_params(query=BEST, head=2, level=1)
    canvas.choose("Head", "all")
    assert canvas.state["drawn"] == 32
    canvas.choose("Level", "all")
    slider = canvas.page.get_by_label("Least weight")
    slider.fill("0.1")
    canvas.settle()
    some = canvas.state["drawn"]
    assert 0 < some < POINTS
    slider.fill("0.5")
    canvas.settle()
    assert canvas.state["drawn"] < some
    canvas.expect_params(query=BEST, weight=0.5)


def test_layers_are_scrubbed_and_played_in_the_browser(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(f"query={BEST}")
    before = canvas.place(BEST)
    canvas.choose("Layer", "1")
    assert canvas.state["layer"] == 0
    canvas.expect_params(query=BEST, layer=1)
    assert canvas.place(BEST) != before
    layers = canvas.page.get_by_role("group", name="Layer", exact=True)
    layers.evaluate(
        """group => {
          window.played = []
          const look = records => records.map(({ target }) => target).forEach(button =>
            button.ariaPressed === "true" && window.played.at(-1) !== button.textContent
            && window.played.push(button.textContent))
          new MutationObserver(look).observe(group, { attributeFilter: ["aria-pressed"], subtree: true })
        }"""
    )
    canvas.page.get_by_role("button", name="Play through the layers").click()
    assert canvas.state["playing"]
    canvas.page.wait_for_function("() => window.played.length >= 3")
    assert canvas.page.evaluate("window.played.slice(0, 3)") == ["2", "3", "1"]
    canvas.page.get_by_role("button", name="Stop at this layer").click()
    canvas.settle()
    assert not canvas.state["playing"]
    layer = canvas.state["layer"]
    canvas.expect_params(query=BEST, **({} if layer == 2 else {"layer": layer + 1}))  # the last is where none is chosen


def test_shapes_tell_levels_or_heads(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(f"query={BEST}")
    key = canvas.page.locator(".key")
    assert set(canvas.state["outlines"]) == {"circle", "square", "diamond"}
    canvas.choose("Shape tells", "head")
    assert set(canvas.state["outlines"]) == {"circle", "square", "diamond", "triangle"}
    expect(key).to_contain_text("heads 6–7")
    canvas.choose("Head", "7")
    assert canvas.state["outlines"] == ["triangle"]
    canvas.choose("Shape tells", "level")
    assert set(canvas.state["outlines"]) == {"circle", "square", "diamond"}
    expect(key).not_to_contain_text("heads")


def test_a_crowd_of_detections_leaves_the_photo_to_be_seen(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas("threshold=0")
    assert 1 < canvas.state["named"] <= 30


def test_a_detection_that_is_named_as_a_query_is_not_named_twice(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas()
    named = canvas.state["named"]
    canvas.click(BEST)
    found = canvas.far_query()
    canvas.hover(BEST)
    assert canvas.state["named"] == named
    canvas.page.mouse.move(5, 5)
    canvas.click(found, shift=True)
    assert canvas.state["named"] <= named


def test_zoom_and_pan_survive_a_run_of_the_script(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas()
    x, y = canvas.place(BEST)
    canvas.page.mouse.move(x, y)
    canvas.page.mouse.wheel(0, -600)
    canvas.settle()
    zoom = canvas.state["zoom"]
    assert zoom > 2
    assert canvas.place(BEST) == pytest.approx((x, y), abs=3)  # the place under the pointer stays there
    canvas.page.mouse.down()
    canvas.page.mouse.move(x + 60, y - 40, steps=4)
    canvas.page.mouse.up()
    assert canvas.place(BEST) == pytest.approx((x + 60, y - 40), abs=3)
    assert canvas.state["pinned"] is None  # a drag is no click
    canvas.page.get_by_role("spinbutton", name="Selected query").fill("7")
    canvas.page.keyboard.press("Enter")
    canvas.settle()
    expect(canvas.page.locator(".facts.queries")).to_contain_text("Query 7")
    assert canvas.state["pinned"] == 7
    assert canvas.state["zoom"] == zoom
    canvas.page.mouse.dblclick(x, y)
    canvas.settle()
    assert canvas.state["zoom"] == 1


def test_a_page_that_is_scrolled_past_the_canvas_goes_on_scrolling(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(width=390)
    canvas.page.mouse.move(*canvas.place(BEST))
    canvas.page.mouse.wheel(0, 200)  # nothing to zoom out of
    canvas.settle()
    assert canvas.state["zoom"] == 1
    canvas.page.mouse.wheel(0, -100)  # the pointer has not moved since
    canvas.settle()
    assert canvas.state["zoom"] == 1


def test_the_whole_canvas_works_from_the_keyboard(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas()
    canvas.stage.focus()
    canvas.press("ArrowRight")
    first = canvas.state["hover"]
    assert first not in (None, BEST)
    canvas.press("Enter")
    canvas.expect_params(query=first)
    canvas.press("ArrowUp", "Shift+Enter")
    assert canvas.state["compare"] not in (None, first)
    canvas.press("Escape", ".")
    heaviest = canvas.state["focus"]
    canvas.press(".", ",")
    assert canvas.state["focus"] == heaviest
    canvas.press("[", "[")
    assert canvas.state["layer"] == 0
    canvas.press("]", "+", "+")
    assert canvas.state["layer"] == 1
    assert canvas.state["zoom"] > 1.5
    canvas.press("0")
    assert canvas.state["zoom"] == 1
    canvas.press("Space")
    assert canvas.state["playing"]
    canvas.press("Space", "Escape", "Escape")
    assert canvas.state["pinned"] is None


def test_the_loupe_adds_up_to_one(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas(f"query={BEST}")
    for n in (0, 17, 50, 95):
        canvas.press("f")
        canvas.hover(BEST, n)
        assert len(canvas.state["loupe"]) == 4
        assert sum(canvas.state["loupe"]) == pytest.approx(1)
    discrete = open_canvas(f"query={BEST}&sampling=discrete")
    assert discrete.state["loupe"] == [1]
    expect(discrete.page.locator(".loupe figcaption")).to_contain_text("one cell")


def test_heat_map_and_all_points(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas()
    canvas.choose("Shown of", "all queries")
    assert canvas.state["drawnOfAll"] == 100 * POINTS
    canvas.choose("Shown", "heat map")
    assert (canvas.state["drawn"], canvas.state["drawnOfAll"]) == (0, 0)
    scale = canvas.page.locator(".heat-scale")
    expect(scale).to_contain_text("all 100 queries")
    canvas.choose("Shown of", "this query")
    expect(scale).to_contain_text(f"query {BEST}")
    canvas.choose("Shown", "points")
    expect(scale).to_be_hidden()
    assert canvas.state["drawn"] == POINTS


def test_a_link_shows_the_same_again(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas("query=7&compare=12&layer=2&head=3&level=2&point=40&unit=image")
    state = canvas.state
    shown = {name: state[name] for name in ("pinned", "compare", "layer", "head", "level", "point", "unit")}
    assert shown == {"pinned": 7, "compare": 12, "layer": 1, "head": 3, "level": 2, "point": 40, "unit": "image"}
    expect(canvas.page.locator(".facts.queries")).to_contain_text("of the photo")


def test_a_pin_sends_little_and_the_first_payload_fits(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas()
    assert canvas.received < 400_000  # nano's 9,600 points a layer, the photo and the script
    before = canvas.received
    canvas.click(canvas.far_query())
    assert canvas.received - before < 10_000


def test_python_takes_nothing_from_a_browser_that_does_not_exist(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas("query=7")
    canvas.stage.evaluate(
        """stage => stage.closest(".instrument").canvas.component.setTriggerValue(
          "select", { seq: 1, pinned: 100, compare: -1, layer: 3, head: "0", level: 1.5, point: [2] })"""
    )
    canvas.page.wait_for_function("() => Object.values(window.rtdetrSamplingViews).some(({ seq }) => seq === 1)")
    canvas.settle()
    canvas.expect_params(query=7)
    assert canvas.state["pinned"] == 7


def test_how_it_is_looked_at_is_in_the_link(open_canvas: Callable[..., Canvas]):
    canvas = open_canvas("heat=1&all_queries=1&shape=head&weight=0.05&grid=0&zoom=3,0.4,0.6")
    state = canvas.state
    assert (state["heat"], state["all"], state["shapes"], state["minWeight"], state["ghost"]) == (
        True,
        True,
        "head",
        0.05,
        False,
    )
    assert state["zoom"] == pytest.approx(3)
    assert state["center"] == pytest.approx([0.4, 0.6])
    canvas.choose("Shown", "points")
    canvas.press("0")
    canvas.page.wait_for_function("!location.search.includes('zoom') && !location.search.includes('heat')")
    canvas.expect_params(all_queries=1, grid=0, shape="head", weight=0.05)
    canvas.press("+", "+")
    canvas.page.wait_for_function("location.search.includes('zoom=1.69')")
