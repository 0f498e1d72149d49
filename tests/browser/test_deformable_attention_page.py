"""The page of deformable attention in a real browser: the canvas, the numbers beside it, and the link to both."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

LINK = "deformable_attention?image=scene-8"
TITLE = "Deformable attention"
MAX_PAYLOAD_BYTES = 1_000_000
OTHER = 41


@pytest.fixture
def open_page(open_browser):
    """Open the page and wait until the canvas has drawn what the server knows."""

    def open_at(link: str = "", **options):
        app = open_browser(link=f"{LINK}&{link}", title=TITLE, **options)
        app.page.locator(".instrument[data-ready=yes]").wait_for()
        rest(app)
        return app

    return open_at


def rest(app) -> None:
    """Wait until the server has answered what was done in the canvas."""
    stage = app.page.locator(".stage").element_handle()
    app.page.wait_for_function("stage => stage.debug.settled", arg=stage)
    app.settle()


def place(app, query: int) -> tuple[float, float]:
    """Where the reference point of a query lies on the page."""
    stage = app.page.locator(".stage")
    stage.scroll_into_view_if_needed()
    x, y = stage.evaluate("(stage, query) => stage.debug.place(query)", query)
    box = stage.bounding_box()
    assert box
    return box["x"] + x, box["y"] + y


def test_a_query_pinned_in_the_canvas_is_the_one_of_all_panels(open_page):
    app = open_page()
    assert app.received < MAX_PAYLOAD_BYTES
    app.page.mouse.click(*place(app, OTHER))
    app.page.wait_for_function("location.search.includes('query=')")
    rest(app)
    query = app.page.get_by_role("spinbutton", name="Selected query").input_value()
    assert f"query={query}" in app.page.url
    app.page.get_by_text(f"In layer 3 query {query} puts ").wait_for()
    app.page.get_by_text(f"heaviest points of query {query} in layer 3").wait_for()
    app.page.get_by_text("The picture is the computation").wait_for()


def test_the_same_link_shows_the_same_in_a_fresh_browser(open_page):
    app = open_page("query=3&head=2&level=1")
    app.page.get_by_role("button", name="Lighter").click()
    app.page.wait_for_function("location.search.includes('point=')")
    rest(app)
    heading = app.page.locator("h4").filter(has_text="ead 2, S4, point")
    app.page.get_by_text("2 of 4 by weight", exact=True).wait_for()
    link = app.page.url.split("?image=scene-8&", 1)[1]
    other = open_page(link)
    assert other.page.locator("h4").filter(has_text="ead 2, S4, point").inner_text() == heading.inner_text()
    other.page.get_by_text("2 of 4 by weight", exact=True).wait_for()
    assert other.page.url == app.page.url


@pytest.mark.parametrize(
    ("choice", "rank"),
    [
        ("query=47&point=23", " of 96 by weight"),
        ("query=0&head=3&level=1&point=41", " of 4 by weight"),
        ("query=0&head=3&level=1&point=4", "1 of 4 by weight"),  # of head 0, so the heaviest shown takes its place
    ],
)
def test_canvas_and_inspector_tell_the_same_point(open_page, choice, rank):
    app = open_page(choice)
    facts = app.page.locator(".facts.point")
    told = app.page.get_by_text(re.compile(r"^\d+ of \d+ by weight$")).inner_text()
    assert rank in told
    expect(facts).to_contain_text(f"number {told}")
    name = facts.locator("h4").inner_text().removesuffix("heaviest").replace(" · ", ", ").strip()
    expect(app.page.locator("h4").filter(has_text="ead ").filter(has_text=", point").last).to_have_text(
        name[0].upper() + name[1:]
    )
    weight = facts.locator("dd").nth(2).inner_text()
    expect(app.page.locator("tr").filter(has_text="× weight A")).to_contain_text(weight)


def test_taking_points_away_shows_what_it_did(open_page):
    app = open_page("query=3")
    app.page.get_by_role("button", name="Take away the heaviest").click()
    app.page.get_by_text("Without its 8 heaviest points in layer 3").wait_for()
    app.page.get_by_role("button", name="Take out each of 11 in turn").click()
    app.page.get_by_text("Taken out of layer 3 for all queries").wait_for()
    rest(app)
    assert app.page.get_by_test_id("stException").count() == 0
    assert app.received < MAX_PAYLOAD_BYTES


def test_a_click_in_the_spread_moves_the_canvas_too(open_page):
    app = open_page("query=3")
    chart = app.page.locator(".st-key-figure_deformable_attention_spread")
    chart.scroll_into_view_if_needed()
    chart.locator(".scatterlayer .trace .points path").nth(20).click(force=True)
    app.page.wait_for_function("!/[?&]query=3(&|$)/.test(location.search)")
    rest(app)
    query = int(app.page.get_by_role("spinbutton", name="Selected query").input_value())
    assert app.page.locator(".stage").evaluate("stage => stage.debug.pinned") == query


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits(open_page, tmp_path, width, scheme):
    app = open_page("query=3&compare=41&head=3", width=width, scheme=scheme)
    overflow = "e => e.scrollWidth - e.clientWidth"
    assert app.page.get_by_test_id("stMain").evaluate(overflow) <= 0
    for chart in app.page.get_by_test_id("stPlotlyChart").all():
        assert chart.get_attribute("aria-label")
        box = chart.bounding_box()
        assert box
        assert box["x"] + box["width"] <= width
    app.page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True)


def test_what_the_canvas_alone_knows_outlives_a_look_at_the_tensors(open_page):
    app = open_page("query=3")
    group = app.page.get_by_role("group", name="Shape tells", exact=True)
    group.get_by_role("button", name="head").click()
    app.page.get_by_role("button", name="Zoom to the query").click()
    rest(app)
    before = app.page.locator(".stage").evaluate("stage => [stage.debug.zoom, ...stage.debug.center]")
    assert before[0] > 1.5
    app.page.get_by_role("tab", name="Tensors", exact=True).click()
    app.page.locator("[data-testid=stDataFrame]").first.wait_for()
    app.page.get_by_role("tab", name="See", exact=True).click()
    app.page.locator(".instrument[data-ready=yes]").wait_for()
    rest(app)
    after = app.page.locator(".stage").evaluate("stage => [stage.debug.zoom, ...stage.debug.center]")
    assert after == pytest.approx(before, rel=1e-3)  # a link holds it with three and four decimals
    expect(group.get_by_role("button", name="head")).to_have_attribute("aria-pressed", "true")
