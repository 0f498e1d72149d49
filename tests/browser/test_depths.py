"""The four depths of a page in a real browser: tabs and links, formulas, downloads, two widths and themes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from safetensors.numpy import load

from rtdetr_explained.tracing.storage import load_trace


def open_tab(app, name, mark):
    app.page.get_by_role("tab", name=name, exact=True).click()
    app.page.locator(mark).first.wait_for()
    app.settle()


def test_tabs_lead_through_the_depths_and_into_the_link(open_browser):
    app = open_browser(link="aifi", title="AIFI")
    open_tab(app, "Formula", "[data-testid=stMain] .katex-display")
    assert app.page.url.endswith("/aifi?depth=formula")
    assert app.page.locator(".katex-error").count() == 0
    assert app.page.locator(".katex-display").count() == 6
    assert app.page.get_by_test_id("stPlotlyChart").count() == 0  # the figure is not even there
    open_tab(app, "Code", "[data-testid=stCode]")
    assert app.page.url.endswith("/aifi?depth=code")
    assert "def sincos_position_table" in app.page.get_by_test_id("stCode").last.inner_text()
    open_tab(app, "See", "[data-testid=stPlotlyChart]")
    assert app.page.url.endswith("/aifi")
    app.page.go_back()
    app.page.get_by_test_id("stCode").first.wait_for()
    assert app.page.get_by_role("tab", name="Code").get_attribute("aria-selected") == "true"


def test_tensors_and_traces_are_saved(open_browser, tmp_path):
    app = open_browser(link="decoder?image=scene-8&depth=tensors", title="Decoder")
    page = app.page

    def download(label):
        with page.expect_download() as saved:
            page.get_by_role("button", name=label).click()
        return saved.value.suggested_filename, saved.value.path().read_bytes()

    name, data = download("Tensor as NPY")
    assert name == "decoder.layers.2.reference_boxes-scene-8.npy"
    boxes = np.load(io.BytesIO(data), allow_pickle=False)
    assert boxes.shape == (100, 4)
    name, data = download("What is seen as CSV")
    assert name == "decoder.layers.2.reference_boxes-scene-8.csv"
    lines = data.decode().splitlines()
    assert lines[0] == "query,cx,cy,w,h"
    assert np.allclose([float(text) for text in lines[1].split(",")[1:]], boxes[0])
    name, data = download("Whole trace as safetensors")
    assert name == "trace-scene-8.safetensors"
    assert np.array_equal(load(data)["decoder.layers.2.reference_boxes"], boxes)
    saved = tmp_path / name
    saved.write_bytes(data)
    assert load_trace(saved).num_layers == 3


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (800, "light")])
def test_formulas_fit_the_page(open_browser, width, scheme):
    app = open_browser(width=width, scheme=scheme, link="denoising", title="Denoising")
    open_tab(app, "Formula", "[data-testid=stMain] .katex-display")
    # Once the fonts of the formulas are there.
    app.page.wait_for_function(
        "[...document.querySelectorAll('.katex-display')].every(one => one.scrollWidth <= one.clientWidth + 4)"
    )
    assert app.page.get_by_text("Agrees with the trace").count() == 4
    assert app.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_change_of_tab_sends_little(open_browser):
    app = open_browser(link="deformable_attention", title="Deformable attention")
    for name, mark in (("Tensors", "[data-testid=stDataFrame]"), ("Formula", ".katex-display"), ("Code", "pre")):
        app.received = 0
        open_tab(app, name, f"[data-testid=stMain] {mark}")
        assert 0 < app.received < 1_000_000
