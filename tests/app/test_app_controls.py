"""Every control: what it changes in the view, in the URL and on the page."""

import json

import numpy as np
import pytest
from page_text import text_of

from app.session import traces
from app.session.view import ViewState, to_params
from app.widgets import figures
from rtdetr_explained.illustrations.stages import STAGES

VALUES = {
    "overview": {"threshold": 0.2, "query": 7},
    "backbone": {"channel": 5, "scale": "stage", "query": 7},
    "aifi": {"head": 2, "scale": "stage", "cell": 3, "query": 7},
    "ccff": {"channel": 100, "scale": "map", "query": 7},
    "query_selection": {"query": 7},
    "decoder": {"layer": 0, "head": 7, "threshold": 0.9, "query": 7},
    "deformable_attention": {"query": 7},  # layer, head and level are chosen in the canvas
    "denoising": {"group": 1, "seed": 5, "query": 7},
}
CASES = [(slug, field, value) for slug, fields in VALUES.items() for field, value in fields.items()]


@pytest.mark.parametrize(("slug", "field", "value"), CASES)
def test_a_control_changes_the_view_the_url_and_the_figure(open_app, slug, field, value):
    at = open_app(slug)
    before = chart(at)
    at.get_by_key(f"control_{field}").set_value(value).run()
    assert not at.exception
    assert not at.error
    assert getattr(at.session_state["view"], field) == value
    assert at.query_params == to_params(ViewState(**{field: value}))
    if field != "query" or slug not in ("backbone", "ccff", "denoising"):  # these are the same for every query
        assert chart(at) != before


@pytest.mark.parametrize("slug", VALUES)
def test_a_link_sets_the_controls(open_app, slug):
    at = open_app(slug, **to_params(ViewState(**VALUES[slug])))
    assert not at.warning
    for field, value in VALUES[slug].items():
        assert at.get_by_key(f"control_{field}").value == value


def test_all_heads_and_all_channels_leave_the_url(open_app):
    at = open_app("aifi", head=2)
    at.get_by_key("control_head").set_value("all").run()
    assert at.session_state["view"].head is None
    assert at.query_params == {}
    at = open_app("backbone", channel=2)
    at.get_by_key("control_channel").set_value("all").run()
    assert at.session_state["view"].channel is None


def test_a_channel_that_only_another_stage_has_is_all_together(open_app):
    at = open_app("backbone", channel=100)
    assert not at.error
    assert at.get_by_key("control_channel").value == "all"
    at = open_app("ccff", channel=100)
    assert at.get_by_key("control_channel").value == 100


def test_the_threshold_decides_which_detections_are_listed(open_app):
    at = open_app("overview", threshold=0.3)
    scores = at.dataframe[0].value["score"]
    assert len(scores) >= 1
    assert scores.min() > 0.3
    assert list(scores) == sorted(scores, reverse=True)
    at.slider(key="control_threshold").set_value(1.0).run()
    assert "Nothing scores above 1.00" in text_of(at).replace("\\", "")


def test_a_row_of_the_detections_selects_its_query(open_app):
    at = open_app("overview", threshold=0.1)
    row = 1
    query = int(at.dataframe[0].value["query"][row])
    pick(at, at.dataframe[0], {"rows": [row]})
    assert at.session_state["view"].query == query
    assert at.number_input(key="control_query").value == query
    pick(at, at.dataframe[0], {"rows": []})
    assert at.session_state["view"].query is None


def test_going_to_a_detection(open_app):
    at = open_app("deformable_attention", threshold=0.1)
    options = at.selectbox(key="jump_query").options
    at.selectbox(key="jump_query").select_index(len(options) - 1).run()
    assert f"query {at.session_state['view'].query}" in options[-1]


@pytest.mark.parametrize("slug", ["overview", "query_selection", "decoder"])
def test_a_click_on_a_marker_selects_its_query(open_app, slug):
    at = open_app(slug)
    pick(at, at.get("plotly_chart")[0], {"points": [{"customdata": 42}]})
    assert at.session_state["view"].query == 42
    pick(at, at.get("plotly_chart")[0], {"points": [{"customdata": [43]}]})
    assert at.session_state["view"].query == 43
    for nothing in ([], [{}], [{"customdata": None}], [{"customdata": "x"}]):
        pick(at, at.get("plotly_chart")[0], {"points": nothing})
        assert not at.exception
        assert at.session_state["view"].query == 43


def test_a_click_on_a_cell_pins_it_until_it_is_released(open_app):
    at = open_app("aifi")
    follows = at.number_input(key="control_cell").value
    pick(at, at.get("plotly_chart")[0], {"points": [{"customdata": 9}]})
    assert at.number_input(key="control_cell").value == 9
    at.button(key="release_cell").click().run()
    assert at.session_state["view"].cell is None
    assert at.number_input(key="control_cell").value == follows


@pytest.mark.parametrize(("slug", "names"), [("query_selection", 3), ("decoder", 1)])
def test_the_markers_that_can_be_clicked_carry_their_query(open_app, monkeypatch, slug, names):
    seen = {}
    show = figures.st.plotly_chart
    monkeypatch.setattr(
        figures.st, "plotly_chart", lambda figure, **options: seen.update(figure=figure) or show(figure, **options)
    )
    at = open_app(slug)
    trace = traces.trace_of(at.session_state["view"])
    markers = seen["figure"].select_traces({"mode": "markers"})
    clickable = [trace for trace in markers if trace.customdata is not None]
    assert len(clickable) == names
    queries = np.concatenate([t.customdata for t in clickable])
    assert sum(len(t.x) for t in clickable) == len(queries)
    assert set(queries) >= set(range(len(trace.logits))) - {at.number_input(key="control_query").value}


@pytest.mark.parametrize("slug", STAGES)
def test_the_exports_are_files_of_their_kind(open_app, monkeypatch, slug):
    made = {}
    monkeypatch.setattr(
        figures.st, "download_button", lambda label, **options: made.update({options["file_name"]: options})
    )
    open_app(slug, image="scene-8")
    for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
        assert made[f"{slug}-scene-8.{kind}"]["data"]().startswith(start)


def chart(at):
    """The figure on the page, as it is sent to the browser."""
    return at.get("plotly_chart")[0].proto.spec


def pick(at, element, selection):
    """Select in a table or a chart, as the browser reports it; `AppTest` has no public way to do so."""
    states = at._tree.get_widget_states()
    states.widgets.add(id=element.proto.id, string_value=json.dumps({"selection": selection}))
    at._run(states)
