"""The shell around the eight stages in a real browser: keys, links, lectures, and how it fits."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import expect

from rtdetr_explained.illustrations.stages import STAGES

LINK = (
    "image=scene-3-few&query=12&compare=13&layer=1&head=3&level=2&point=40&cell=4&channel=5&scale=stage&unit=image"
    "&tensor=self_attn.weights&threshold=0.25&queries=50&selection=one2many&place=0.1234%2C0.5&group=2&seed=7"
)
TITLES = [stage.title for stage in STAGES.values()]


def test_the_arrow_keys_lead_through_the_eight_stages(open_browser):
    app = open_browser()
    for title in TITLES[1:]:
        app.page.keyboard.press("ArrowRight")
        app.wait_for_stage(title)
    app.page.keyboard.press("ArrowRight")  # nothing comes after the last
    app.page.keyboard.press("ArrowLeft")
    app.wait_for_stage("Deformable attention")
    assert current(app) == "deformable_attention"


def test_digits_jump_and_keys_in_quick_succession_add_up(open_browser):
    app = open_browser()
    app.page.keyboard.press("6")
    app.wait_for_stage("Decoder")
    app.page.keyboard.press("1")
    app.wait_for_stage("Overview")
    app.page.keyboard.press("ArrowRight")
    app.page.keyboard.press("ArrowRight")
    app.page.keyboard.press("ArrowRight")
    app.wait_for_stage("CCFF")
    app.page.get_by_role("link", name="Decoder").dblclick()
    app.page.get_by_role("link", name="AIFI").dblclick()
    app.wait_for_stage("AIFI")
    app.wait_for_stage("AIFI")  # still
    assert fields(app.page.url) == []  # nothing was selected on the way


def test_the_last_of_hasty_keys_counts(open_browser):
    app = open_browser(link="decoder", title="Decoder")
    for key in "8675":
        app.page.keyboard.press(key)
    app.wait_for_stage("Query selection")
    app.page.wait_for_timeout(1000)
    app.wait_for_stage("Query selection")  # still
    app.page.keyboard.press("6")
    app.wait_for_stage("Decoder")
    app.page.keyboard.press("ArrowDown")
    app.page.keyboard.press("ArrowDown")
    app.page.wait_for_function("location.search.includes('layer=1')")
    for key in ("ArrowUp", "ArrowUp", "ArrowDown"):
        app.page.keyboard.press(key)
    app.page.wait_for_function("location.search.includes('layer=2')")
    app.page.wait_for_timeout(1000)
    assert fields(app.page.url) == [("layer", "2")]


def test_up_and_down_change_the_layer_where_there_is_one(open_browser):
    app = open_browser(link="ccff", title="CCFF")
    app.page.keyboard.press("ArrowDown")
    app.page.keyboard.press("6")
    app.wait_for_stage("Decoder")
    assert "layer=" not in app.page.url
    app.page.keyboard.press("ArrowDown")
    app.page.wait_for_function("location.search.includes('layer=2')")
    app.page.keyboard.press("ArrowDown")
    app.page.wait_for_function("location.search.includes('layer=1')")
    app.page.keyboard.press("ArrowUp")
    app.page.wait_for_function("location.search.includes('layer=2')")


def test_escape_lets_go_of_the_last_choice_first(open_browser):
    app = open_browser(link="ccff?query=12&compare=13&place=0.5,0.5&point=3", title="CCFF")
    for left in ("query,point,place", "query", ""):
        app.page.keyboard.press("Escape")
        app.page.wait_for_function(f"[...new URLSearchParams(location.search).keys()].join() === '{left}'")
        app.settle()


def test_the_list_of_keys_opens_and_closes(open_browser):
    app = open_browser()
    overlay = app.page.get_by_role("dialog", name="Keys")
    for key, again in (("?", "Escape"), ("h", "?")):
        app.page.keyboard.press(key)
        overlay.wait_for()
        for words in ("previous and next stage", "later and earlier decoder layer", "zoom in and out"):
            assert overlay.get_by_text(words).is_visible()
        app.page.keyboard.press("ArrowRight")  # the page behind it must not move
        app.page.keyboard.press(again)
        overlay.wait_for(state="hidden")
    assert current(app) == "overview"
    app.page.get_by_role("button", name="Keys").click()
    overlay.wait_for()
    overlay.get_by_role("button", name="Close").click()
    overlay.wait_for(state="hidden")


def test_keys_keep_their_own_meaning_in_fields_lists_and_sliders(open_browser):
    app = open_browser(link="decoder?layer=1", title="Decoder")
    app.page.get_by_role("spinbutton", name="Selected query").click()
    app.page.keyboard.press("End")
    app.page.keyboard.press("ArrowLeft")
    app.page.keyboard.press("3")
    app.page.keyboard.press("?")
    app.page.get_by_role("slider", name="Score threshold").focus()
    app.page.keyboard.press("ArrowRight")
    app.page.wait_for_function("location.search.includes('threshold=0.51')")
    app.page.get_by_role("tab", name="See").focus()
    app.page.keyboard.press("ArrowRight")
    app.settle()
    assert current(app) == "decoder"
    assert not app.page.get_by_role("dialog", name="Keys").is_visible()


def test_a_link_with_every_field_gives_the_same_view_in_a_fresh_browser(open_browser):
    first = open_browser(link=f"decoder?{LINK}", title="Decoder")
    assert fields(first.page.url) == parse_qsl(LINK)
    first.page.keyboard.press("ArrowRight")
    first.wait_for_stage("Deformable attention")
    assert fields(first.page.url) == parse_qsl(LINK)
    first.page.get_by_role("spinbutton", name="Compare with").fill("14")
    first.page.keyboard.press("Enter")
    first.page.wait_for_function("location.search.includes('compare=14')")
    first.settle()

    address = urlsplit(first.page.url)
    second = open_browser(link=f"{address.path[1:]}?{address.query}", title="Deformable attention")
    assert second.page.url == first.page.url
    # A number field shows its least number for a moment before it shows the one that the server sent.
    for app in (first, second):
        expect(app.page.get_by_role("spinbutton", name="Selected query")).to_have_value("12")
        expect(app.page.get_by_role("spinbutton", name="Compare with")).to_have_value("14")
    assert second.page.get_by_test_id("stAlert").count() == 0


def test_what_a_bad_link_names_is_left_out_with_a_note(open_browser):
    app = open_browser(link="aifi?query=5000&layer=x&place=2,2&depth=deep&cell=3", title="AIFI")
    note = app.page.get_by_test_id("stAlert").first.inner_text()
    for field in ("query", "layer", "place", "depth"):
        assert field in note
    assert fields(app.page.url) == [("cell", "3")]


@pytest.mark.parametrize("value", ["1", "true"])
def test_a_lecture_has_no_side_bar_on_any_page(open_browser, value):
    app = open_browser(link=f"overview?embed={value}&query=3", title="Overview")
    app.page.get_by_role("link", name="CCFF").click()
    app.wait_for_stage("CCFF")
    app.page.keyboard.press("ArrowRight")
    app.wait_for_stage("Query selection")
    assert dict(fields(app.page.url)) == {"embed": value, "query": "3"}
    href = app.page.get_by_role("link", name="Decoder").get_attribute("href")
    assert dict(fields(href)) == {"embed": value, "query": "3"}
    assert app.page.get_by_test_id("stSidebar").count() == 0
    assert app.page.get_by_role("navigation", name="Stages").is_visible()


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_shell_fits(open_browser, tmp_path, width, scheme):
    app = open_browser(width, scheme, link="ccff?query=10&compare=0", title="CCFF")
    assert app.page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    app.page.screenshot(path=tmp_path / f"shell-{width}-{scheme}.png")
    app.page.keyboard.press("?")
    overlay = app.page.get_by_role("dialog", name="Keys")
    overlay.wait_for()
    box = overlay.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] <= 900
    app.page.screenshot(path=tmp_path / f"keys-{width}-{scheme}.png")


def test_figures_follow_a_change_of_theme(open_browser):
    app = open_browser(link="ccff", title="CCFF")
    text = "() => getComputedStyle(document.querySelector('.main-svg text')).fill"
    light = app.page.evaluate(text)
    app.page.emulate_media(color_scheme="dark")
    app.page.wait_for_function(f"before => ({text})() !== before", arg=light)


def test_a_comparison_outlives_a_hasty_walk_over_the_decoder(open_browser):
    app = open_browser(link="query_selection?query=0&compare=5&place=0.3,0.3", title="Query selection")
    asked = fields(app.page.url)
    for key in "6765":
        app.page.keyboard.press(key)
        app.page.wait_for_timeout(100)
    app.wait_for_stage("Query selection")
    assert fields(app.page.url) == asked


def current(app) -> str:
    """The slug that the map shows as the current page."""
    return app.page.locator("nav a[aria-current]").get_attribute("data-slug")


def fields(url: str) -> list[tuple[str, str]]:
    """The query parameters of an address, in order."""
    return parse_qsl(urlsplit(url).query)
