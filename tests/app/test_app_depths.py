"""See, Tensors, Formula and Code of every page; a hidden tab does no work."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace

import pytest
from page_text import text_of

from app import depths
from app.depths import code, formula, tensors
from app.session.view import DEPTHS, ViewState
from app.widgets import retrace as further
from rtdetr_explained.formulas import formulas
from rtdetr_explained.illustrations import backbone
from rtdetr_explained.illustrations.stages import STAGES
from rtdetr_explained.model import deformable_attention

IMAGE = "scene-3-few"


@pytest.mark.parametrize("slug", STAGES)
@pytest.mark.parametrize("depth", DEPTHS)
def test_each_depth_of_each_page(open_app, slug, depth):
    at = open_app(slug, depth=depth, image=IMAGE)
    assert not at.exception
    assert not at.error
    assert at.session_state["view"].depth == depth
    assert at.query_params == ({"image": IMAGE} if depth == "see" else {"image": IMAGE, "depth": depth})
    shown = {
        "see": any(key.startswith("export_") for key in keys(at, "download_button")),
        "tensors": {"download_npy", "download_csv", "download_safetensors"} <= keys(at, "download_button"),
        "formula": len(at.latex) >= 4,
        "code": len(at.code) >= 3,
    }
    assert [name for name, found in shown.items() if found] == [depth]


def keys(at, kind):
    return {element.key for element in at.get(kind)}


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_hidden_tab_does_no_work(open_app, monkeypatch, depth):
    calls = []
    for module, name in ((tensors, "tensors"), (formula, "formula"), (code, "code")):
        drawn = module.show
        monkeypatch.setattr(module, "show", lambda *args, drawn=drawn, name=name: (calls.append(name), drawn(*args)))
    draw = backbone.view
    monkeypatch.setattr(backbone, "view", lambda choice: (calls.append("see"), draw(choice))[1])
    open_app("backbone", depth=depth)
    assert calls == [depth]


def test_a_tab_is_in_the_link_and_follows_to_the_next_page(open_app):
    at = open_app("aifi")
    open_tab(at, "aifi", "Formula")
    assert at.query_params == {"depth": "formula"}
    assert len(at.latex) == 6
    at.button(key="go_next").click().run()
    assert at.query_params == {"depth": "formula"}
    assert "What the fusion costs" in text_of(at)
    open_tab(at, "ccff", "See")
    assert at.query_params == {}
    assert not at.latex


def open_tab(at, slug, title):
    at.session_state[f"depth_{slug}"] = title
    at.session_state["view"] = ViewState(depth=next(d for d, t in depths.TITLES.items() if t == title))
    at.session_state["view_changed"] = True
    at.run()
    assert not at.exception


def test_a_formula_that_does_not_fit_the_trace_says_so(open_app, monkeypatch):
    def wrong(slug, choice):
        return [replace(one, computed=one.computed + 1) for one in formulas(slug, choice)]

    monkeypatch.setattr("app.depths.formula.formulas", wrong)
    text = text_of(open_app("query_selection", depth="formula", query=1))
    assert "**Differs**" in text
    assert "Agrees" not in text


def test_a_bad_depth_in_a_link_is_noted(open_app):
    at = open_app("decoder", depth="deeper")
    assert not at.exception
    assert "depth 'deeper'" in at.warning[0].value.replace("\\", "")
    assert at.session_state["view"].depth == "see"


def test_formulas_follow_the_selection(open_app):
    at = open_app("deformable_attention", depth="formula", query=12, layer=1, head=3, point=40)
    text = text_of(at)
    assert "Where point 0 of head 3 on S4 lies" in text  # 40 = 3 heads of 12 points, and the first after 4 on S3
    assert "layers\\.0\\.cross\\_attn" in text
    assert "What the point reads" in text  # nano is small: its values are traced at once
    assert "Differs" not in text
    at.number_input(key="control_query").set_value(30).run()
    assert at.query_params["query"] == "30"
    assert "query 30" in text_of(at)


@pytest.mark.parametrize("slug", STAGES)
def test_every_formula_agrees_with_the_trace(open_app, slug):
    text = text_of(open_app(slug, depth="formula", query=1))
    assert "**Agrees**" in text
    assert "Differs" not in text


def test_a_formula_that_disagrees_with_the_trace_says_so(open_app, monkeypatch):
    made = formula.formulas
    broken = lambda *asked: [replace(one, computed=one.computed + 1) for one in made(*asked)]  # noqa: E731
    monkeypatch.setattr(formula, "formulas", broken)
    text = text_of(open_app("decoder", depth="formula"))
    assert text.count("**Differs**") == 3
    assert "Agrees" not in text


def test_a_tensor_is_chosen_and_seen(open_app):
    at = open_app("query_selection", image="scene-8", depth="tensors")
    names = [row["Name"] for row in at.dataframe[-1].value.to_dict("records")]
    assert names[0] == "query_selection.memory"
    assert len(names) == 8
    choice = at.selectbox(key="choice_query_selection_tensor")
    assert choice.value == "query_selection.anchors"  # memory is not kept, so anchors come first
    assert "`query_selection.anchors`" in text_of(at)
    facts = at.table[0].value["value"].to_dict()
    assert facts["Axes"] == "token **1,701** × cxcywh **4**"
    assert facts["Type"] == "float32"
    assert facts["Min, mean, max"].startswith("−4.26")
    assert at.dataframe[0].value.columns.tolist() == ["cx", "cy", "w", "h"]
    choice.select_index(names.index("query_selection.class_logits")).run()
    assert not at.exception
    assert "`query_selection.class_logits`" in text_of(at)
    assert len(at.get("plotly_chart")) == 2  # histogram and heat map
    choice = at.selectbox(key="choice_query_selection_tensor").select_index(0).run()
    assert not at.exception
    assert "not kept in the usual trace" in text_of(at)
    assert len(at.get("plotly_chart")) == 2  # traced again


def test_the_tensor_is_in_the_link_and_follows_through_the_layers(open_app):
    at = open_app("decoder", depth="tensors")
    names = at.dataframe[-1].value["Name"].tolist()
    at.selectbox(key="choice_decoder_tensor").select_index(names.index("decoder.layers.2.self_attn.weights")).run()
    assert at.query_params["tensor"] == "self_attn.weights"
    at.segmented_control(key="control_layer").select(1).run()
    assert "`decoder.layers.1.self_attn.weights`" in text_of(at)
    again = open_app("decoder", **at.query_params)
    assert "`decoder.layers.1.self_attn.weights`" in text_of(again)
    assert not again.warning
    elsewhere = open_app("aifi", **at.query_params)  # a stage without it shows its own first one
    assert not elsewhere.exception
    assert not elsewhere.warning
    mask = open_app("denoising", depth="tensors", tensor="denoising.attention_mask")  # of a pass of its own
    assert "`denoising.attention_mask`" in text_of(mask)
    assert mask.query_params["tensor"] == "denoising.attention_mask"
    assert "There is no tensor" in text_of(open_app("aifi", depth="tensors", tensor="backbone.s9"))


def test_the_layer_in_view_is_the_one_whose_tensors_are_listed(open_app):
    at = open_app("decoder", depth="tensors", layer=1)
    assert "decoder.layers.0.boxes" in at.dataframe[-1].value["Name"].tolist()
    at.segmented_control(key="control_layer").select(1).run()
    names = at.dataframe[-1].value["Name"].tolist()
    assert "decoder.layers.1.boxes" in names
    assert "decoder.layers.0.boxes" not in names


def test_a_slice_starts_at_the_selected_query(open_app):
    at = open_app("deformable_attention", depth="tensors", query=7, head=2)
    names = at.dataframe[-1].value["Name"].tolist()
    place = next(i for i, name in enumerate(names) if name.endswith("sampling_locations"))
    at.selectbox(key="choice_deformable_attention_tensor").select_index(place).run()
    assert not at.exception
    name = names[place]
    assert at.number_input(key=f"slice_{name}_query_7").value == 7
    assert at.number_input(key=f"slice_{name}_head_2").value == 2
    assert at.dataframe[0].value.columns.tolist() == ["x", "y"]
    assert len(at.dataframe[0].value) == 12


def test_a_large_network_asks_before_it_runs_again(open_app, monkeypatch):
    monkeypatch.setattr(further, "QUICK_FLOPS", 0)
    at = open_app("ccff", image=IMAGE)
    assert "P4 and P3 were not kept" in text_of(at)
    at.button(key="further_hybrid_encoder.p3").click().run()
    assert not at.exception
    assert "not kept" not in text_of(at)
    at = open_app("ccff", image="scene-2-crowded", depth="tensors")
    at.selectbox(key="choice_ccff_tensor").select_index(0).run()
    assert "Trace again with this tensor" in [button.label for button in at.button]


def test_a_lecture_offers_no_downloads(open_app):
    at = open_app("aifi", depth="tensors", embed=1)
    assert not at.exception
    assert len(at.get("plotly_chart")) == 2
    assert not at.get("download_button")


def test_the_code_is_that_of_the_installed_model(open_app):
    at = open_app("deformable_attention", depth="code")
    source = inspect.getsource(deformable_attention)
    assert all(line.strip() in source for line in at.code[0].value.splitlines())
    assert "decoder.layers.0.cross_attn.offsets" in text_of(at)


def test_the_backbones_page_is_about_the_network_that_runs(open_app):
    texts = {
        (model, depth): open_app("backbone", depth=depth, model=model, image=image)
        for model, image in (("nano", IMAGE), ("nano-photo", "sample-chelsea"))
        for depth in ("see", "formula", "code")
    }
    for (model, depth), at in texts.items():
        assert not at.exception
        text = text_of(at) + " ".join(block.value for block in at.code)
        text = re.sub(r"[\\ -]", "", text).lower()  # plain text is escaped
        assert any(name in text for name in ("resnet18vd", "resnetvd")) == (model == "nano"), depth
        assert ("invertedresidual" in text) == (model == "nano-photo"), depth
