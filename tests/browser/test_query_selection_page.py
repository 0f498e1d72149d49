"""The score maps of query selection in a real browser: pointing, asking, selecting, keys, touch and links."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from playwright.sync_api import expect

LINK, TITLE = "query_selection?image=scene-8", "Query selection"
MAX_PAYLOAD_BYTES = 1_000_000


def maps_of(app):
    """The canvases of the score maps, once they are drawn."""
    app.page.locator(".root[data-ready]").wait_for()
    return app.page.get_by_role("img", name="Score map of")


def fraction(canvas, x, y):
    """A position in a canvas from parts of its size."""
    box = canvas.bounding_box()
    return {"x": box["width"] * x, "y": box["height"] * y}


def url_has(app, text):
    """Wait until the address holds a text."""
    app.page.wait_for_function("text => decodeURIComponent(location.search).includes(text)", arg=text)
    app.settle()


def test_pointing_tells_the_three_cells_without_the_server(open_browser):
    app = open_browser(link=LINK, title=TITLE)
    maps = maps_of(app)
    expect(maps).to_have_count(3)
    app.received = 0
    maps.nth(0).hover(position=fraction(maps.nth(0), 0.51, 0.51))
    lines = app.page.get_by_role("listitem")
    expect(lines.filter(has_text="S3 row 18, column 18 · “star” 0.026 · rank 1,218 · discarded")).to_have_count(1)
    expect(lines.filter(has_text="S4 row 9, column 9")).to_have_count(1)
    expect(lines.filter(has_text="S5 row 4, column 4")).to_have_count(1)
    app.page.get_by_text("Under the pointer, (147, 147) px").wait_for()
    assert app.received == 0
    assert "place" not in app.page.url


def test_a_click_asks_and_escape_lets_go(open_browser):
    app = open_browser(link=LINK, title=TITLE)
    maps = maps_of(app)
    app.received = 0
    maps.nth(1).click(position=fraction(maps.nth(1), 0.53, 0.53))
    url_has(app, "place=0.5")
    app.page.get_by_text(re.compile("No query stands here: the best of the three cells")).first.wait_for()
    assert app.received < MAX_PAYLOAD_BYTES
    app.page.keyboard.press("Escape")
    app.page.wait_for_function("!location.search.includes('place=')")
    app.settle()
    app.page.get_by_text("Click anywhere in a score map").wait_for()


def test_a_click_on_a_chosen_cell_selects_its_query_everywhere(open_browser):
    app = open_browser(link=f"{LINK}&query=0", title=TITLE)
    maps = maps_of(app)
    maps.nth(2).click(position=fraction(maps.nth(2), 8.5 / 9, 7.5 / 9))  # chosen for the crescent
    app.page.wait_for_function("location.search.includes('place=') && !location.search.includes('query=0')")
    app.settle()
    query = app.page.url.split("query=")[1].split("&")[0]
    expect(app.page.get_by_role("spinbutton", name="Selected query")).to_have_value(query)
    app.page.get_by_text(re.compile(rf"Quer(y|ies) .*\b{query}\b.* stands? here")).first.wait_for()
    app.page.get_by_role("link", name="Decoder").first.click()
    app.wait_for_stage("Decoder")
    expect(app.page.get_by_role("spinbutton", name="Selected query")).to_have_value(query)


def test_the_maps_work_from_the_keyboard(open_browser):
    app = open_browser(link=f"{LINK}&place=0.5,0.5", title=TITLE)
    maps_of(app)
    frame = app.page.get_by_role("application", name="Score maps")
    frame.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "Shift+ArrowLeft"):
        app.page.keyboard.press(key)
    expect(app.page.get_by_role("listitem").filter(has_text="S3 row 20, column 14")).to_have_count(1)
    assert "query_selection" in app.page.url  # the arrows did not turn the page
    app.page.keyboard.press("Enter")
    url_has(app, "place=0.4028,0.5694")
    app.page.keyboard.press("Escape")
    app.page.wait_for_function("!location.search.includes('place=')")


def test_touch_asks_too(browser, app_url):
    context = browser.new_context(viewport={"width": 800, "height": 900}, has_touch=True)
    page = context.new_page()
    page.goto(f"{app_url}/{LINK}")
    page.locator(".root[data-ready]").wait_for(timeout=60_000)
    canvas = page.get_by_role("img", name="Score map of S5")
    canvas.scroll_into_view_if_needed()
    canvas.tap(position=fraction(canvas, 0.25, 0.75))
    page.wait_for_function("location.search.includes('place=')")
    context.close()


def test_a_level_alone_is_larger(open_browser):
    app = open_browser(link=LINK, title=TITLE)
    small = maps_of(app).nth(0).bounding_box()
    app.page.get_by_test_id("stButtonGroup").filter(has_text="S4").get_by_text("S3", exact=True).click()
    url_has(app, "level=0")
    expect(maps_of(app)).to_have_count(1)
    assert maps_of(app).nth(0).bounding_box()["width"] > 1.8 * small["width"]


def test_a_rerun_is_marked_and_taken_back(open_browser):
    app = open_browser(link=LINK, title=TITLE)
    maps_of(app)
    slider = app.page.get_by_role("slider", name="Queries to choose")
    slider.focus()
    for _ in range(12):  # faster than the page is drawn
        slider.press("ArrowLeft")
    app.page.get_by_text("0 cells gained and 12 lost").wait_for()
    url_has(app, "queries=88")
    app.page.get_by_text("lost in the re-run").first.wait_for()
    app.page.get_by_role("button", name="Model's own").click()
    app.page.wait_for_function("!location.search.includes('queries=')")
    app.settle()
    app.page.get_by_text("These are the model's own 100 queries").wait_for()
    expect(app.page.get_by_text("lost in the re-run")).to_have_count(0)


def test_a_link_gives_the_same_view_in_a_fresh_browser(open_browser):
    link = f"{LINK}&place=0.2,0.8&queries=60&level=1&unit=image&query=3"
    app = open_browser(link=link, title=TITLE)
    maps_of(app)
    app.page.get_by_text("At (0.200, 0.800).").wait_for()
    address = app.page.url
    again = open_browser(link=address.split("/")[-1], title=TITLE)
    maps_of(again)
    again.page.get_by_text("At (0.200, 0.800).").wait_for()
    assert again.page.url == address
    texts = [
        page.get_by_role("list", name="The cells under the pointer").inner_text() for page in (app.page, again.page)
    ]
    assert texts[0] == texts[1] != ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 800])
def test_the_maps_fit(open_browser, tmp_path, width, scheme):
    app = open_browser(width, scheme, link="query_selection?image=sample-coffee&place=0.3,0.4&queries=120", title=TITLE)
    maps = maps_of(app)
    boxes = [maps.nth(level).bounding_box() for level in range(3)]
    root = app.page.locator(".root[data-ready]").bounding_box()
    assert boxes[0]["x"] == pytest.approx(root["x"], abs=2)
    assert boxes[2]["x"] + boxes[2]["width"] <= root["x"] + root["width"] + 1
    for left, right in pairwise(boxes):
        assert left["x"] + left["width"] < right["x"]
        assert left["width"] / left["height"] == pytest.approx(600 / 400, rel=0.03)
    assert app.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    app.page.screenshot(path=tmp_path / f"{width}-{scheme}.png")
