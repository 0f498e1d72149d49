"""A photograph goes through all eight pages in a real browser, without an error on the console."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

STAGES = {
    "overview": "Overview",
    "backbone": "Backbone",
    "aifi": "AIFI",
    "ccff": "CCFF",
    "query_selection": "Query selection",
    "decoder": "Decoder",
    "deformable_attention": "Deformable attention",
    "denoising": "Denoising",
}
PHOTO = Path(__file__).parents[2] / "app" / "samples" / "chelsea.jpg"
MAX_PAYLOAD_BYTES = 1_000_000
MAX_STRIP_PX = 96
TIMEOUT_MS = 60_000


def test_an_uploaded_photo_goes_through_all_stages(open_browser, tmp_path):
    app = open_browser()
    page = app.page
    page.get_by_test_id("stSidebar").get_by_text("Upload", exact=True).click()
    photo = tmp_path / "my photo.jpg"
    photo.write_bytes(PHOTO.read_bytes())
    page.locator("input[type=file]").set_input_files(photo)
    page.get_by_text("Your image, 451 × 300 px").wait_for()
    page.get_by_text("nano-photo knows these 20 classes alone").wait_for()
    for slug, title in STAGES.items():
        app.received = 0
        page.get_by_role("link", name=title, exact=False).first.click()
        app.wait_for_stage(title)
        assert page.url.split("?")[0].endswith(f"/{slug}" if slug != "overview" else "/")
        assert "image=upload-" in page.url
        assert page.get_by_text("Your image, 451 × 300 px").is_visible()
        for figure in page.get_by_test_id("stPlotlyChart").all():
            assert figure.get_attribute("aria-label")
        assert page.get_by_test_id("stException").count() == 0
        assert app.received < MAX_PAYLOAD_BYTES
        page.screenshot(path=tmp_path / f"{slug}.png")


def test_the_figure_is_saved_in_three_formats(open_browser):
    app = open_browser()
    for label, start in (("SVG", b"<?xml"), ("PDF", b"%PDF"), ("PNG", b"\x89PNG")):
        with app.page.expect_download() as download:
            app.page.get_by_role("button", name=label, exact=True).click()
        assert download.value.path().read_bytes().startswith(start)
        assert download.value.suggested_filename == f"overview-sample-march-pastoral.{label.lower()}"


def test_the_map_and_the_buttons_work_from_the_keyboard(open_browser):
    app = open_browser()
    link = app.page.get_by_role("link", name="Decoder")
    link.focus()
    app.page.keyboard.press("Enter")
    app.wait_for_stage("Decoder")
    assert link.get_attribute("aria-current") == "page"
    app.page.get_by_role("button", name="Next").focus()
    app.page.keyboard.press("Enter")
    app.wait_for_stage("Deformable attention")


def test_a_click_in_a_figure_selects_and_the_back_button_takes_it_back(open_browser):
    app = open_browser()
    app.page.get_by_role("link", name="AIFI").click()
    app.wait_for_stage("AIFI")
    cell = app.page.get_by_role("spinbutton", name="Cell of S5")
    before = cell.input_value()
    app.page.locator("[data-testid=stPlotlyChart] .scatterlayer .trace .points path").last.click(force=True)
    app.page.wait_for_function("location.search.includes('cell=')")
    app.settle()
    assert f"cell={cell.input_value()}" in app.page.url
    assert cell.input_value() != before
    app.page.go_back()
    app.page.wait_for_function("!location.search.includes('cell=')")
    expect(cell).to_have_value(before, timeout=TIMEOUT_MS)


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits(open_browser, tmp_path, width, scheme):
    app = open_browser(width, scheme)
    for slug, title in STAGES.items():
        app.page.get_by_role("link", name=title).first.click()
        app.wait_for_stage(title)
        strip = app.page.get_by_role("navigation", name="Stages").bounding_box()
        assert strip is not None
        assert strip["height"] <= MAX_STRIP_PX
        assert strip["x"] + strip["width"] <= width
        overflow = "e => e.scrollWidth - e.clientWidth"
        assert app.page.get_by_test_id("stMain").evaluate(overflow) <= 0
        app.page.screenshot(path=tmp_path / f"{slug}-{width}-{scheme}.png")
