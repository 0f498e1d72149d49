"""The decoder's page: its controls, links good and bad, duplicates, and that a threshold runs no model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from page_text import text_of

from app.components import refinement
from app.components.refinement import payload as decoder_payload
from app.session import said, state, traces
from app.session.view import ViewState, to_params
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.decoder import duplicates as decoder_duplicates
from rtdetr_explained.tracing.choice import choose

FEW = "scene-3-few"  # its star is found by one query and overlapped by several others


def trace_of(at):
    """The trace on the page."""
    return traces.trace_of(at.session_state["view"])


def star(at) -> decoder_duplicates.Duplicates:
    """The queries that end on the object of the best query of the scene."""
    trace = trace_of(at)
    return decoder_duplicates.view(choose(trace))


def charts(at) -> list[str]:
    """The figures on the page, as they are sent to the browser."""
    return [chart.proto.spec for chart in at.get("plotly_chart")]


def pick_row(at, element, rows: list[int]):
    """Select in a table, as the browser reports it; `AppTest` has no public way to do so."""
    states = at._tree.get_widget_states()
    states.widgets.add(id=element.proto.id, string_value=json.dumps({"selection": {"rows": rows}}))
    at._run(states)


def table_with(at, column: str):
    """The first table with that column."""
    return next(table for table in at.dataframe if column in table.value.columns)


def text(at) -> str:
    """Everything written on the page, without the escapes."""
    return text_of(at).replace("\\", "")


def test_the_page_has_its_four_panels(open_app):
    at = open_app("decoder", image=FEW)
    assert not at.exception
    assert not at.error
    assert len(at.get("plotly_chart")) == 3
    for words in ("Queries that end on the same object", "How much each layer changes", "The way of one query"):
        assert words in text(at)
    for slug in ("decoder", "decoder_updates", "decoder_duplicates"):
        for kind in ("svg", "pdf", "png"):
            assert at.get_by_key(f"export_{slug}_{kind}").type == "download_button"


@pytest.mark.parametrize(
    ("field", "value", "changed"),
    [
        ("layer", 0, (0, 2)),
        ("head", 3, (0, 2)),
        ("query", 5, (0, 1, 2)),
        ("compare", 5, (1, 2)),
        ("threshold", 0.05, (0, 1, 2)),
    ],
)
def test_a_control_changes_its_figures_and_what_the_browser_is_sent(open_app, monkeypatch, field, value, changed):
    sent = []
    pack = decoder_payload.pack
    monkeypatch.setattr(decoder_payload, "pack", lambda *args, **chosen: sent.append(pack(*args, **chosen)) or sent[-1])
    at = open_app("decoder", image=FEW)
    before = charts(at)
    at.get_by_key(f"control_{field}").set_value(value).run()
    assert not at.exception
    assert getattr(at.session_state["view"], field) == value
    assert at.query_params == to_params(ViewState(**{"image": FEW, field: value}))
    assert [i for i, chart in enumerate(charts(at)) if chart != before[i]] == list(changed)
    assert sent[0] != sent[-1]


def test_a_link_gives_the_same_view(open_app):
    at = open_app("decoder", image=FEW, query=7, compare=3, layer=2, head=2, threshold=0.1)
    assert not at.exception
    assert not at.warning
    view = at.session_state["view"]
    assert (view.query, view.compare, view.layer, view.head, view.threshold) == (7, 3, 1, 2, 0.1)
    assert "head 2" in text(at)
    assert "query 7" in text(at)
    assert "query 3" in text(at)


@pytest.mark.parametrize("bad", [{"compare": 100}, {"layer": 4}, {"head": 8}, {"compare": "x"}, {"layer": 0}])
def test_a_bad_link_is_noted_and_the_page_is_whole(open_app, bad):
    at = open_app("decoder", **bad)
    assert not at.exception
    assert not at.error
    assert len(at.warning) == 1
    assert next(iter(bad)) in at.warning[0].value
    assert len(at.get("plotly_chart")) == 3
    assert at.query_params == {}


def test_the_threshold_takes_cached_logits_and_runs_no_model(open_app, monkeypatch):
    at = open_app("decoder", image=FEW)
    trace = trace_of(at)

    def refuse(*args, **chosen):
        raise AssertionError("the model was run")

    for method in ("trace", "rerun", "detect", "trace_denoising"):
        monkeypatch.setattr(Detector, method, refuse)
    for value in (0.05, 0.2, 0.9):
        at.slider(key="control_threshold").set_value(value).run()
        assert not at.exception
        assert trace_of(at) is trace
        found = trace.detections(value)
        assert found
        table = table_with(at, "box").value
        assert list(table["query"]) == [d.query for d in found]
        np.testing.assert_allclose(table["score"], [d.score for d in found], rtol=1e-6)


def test_nothing_above_the_threshold(open_app):
    at = open_app("decoder", image=FEW, threshold=1)
    assert not at.exception
    assert "Nothing scores above 1.00" in text(at)
    assert "None is above 1.00" in text(at)
    assert len(at.get("plotly_chart")) == 3


def test_the_duplicates_are_listed_and_a_row_compares(open_app):
    at = open_app("decoder", image=FEW)
    group = star(at)
    assert len(group.members) >= 3
    rows = table_with(at, "role").value
    assert list(rows["query"]) == group.members.tolist()
    assert list(rows["role"]) == ["winner"] + ["duplicate"] * (len(group.members) - 1)
    np.testing.assert_allclose(rows["gives"], group.to_winner[-1] * 100, rtol=1e-5)
    pick_row(at, table_with(at, "role"), [1])
    assert not at.exception
    assert at.session_state["view"].compare == group.members[1]
    assert at.query_params["compare"] == str(group.members[1])
    pick_row(at, table_with(at, "role"), [])
    assert at.session_state["view"].compare is None


def test_the_row_of_the_selected_query_compares_it_with_nothing(open_app):
    at = open_app("decoder", image=FEW)
    pick_row(at, table_with(at, "role"), [0])
    assert not at.exception
    assert at.session_state["view"].compare is None


def test_a_query_that_ends_alone(open_app):
    at = open_app("decoder", image=FEW)
    trace = trace_of(at)
    alone = next(q for q in range(100) if len(decoder_duplicates.ending_together(trace, q)[0]) == 1)
    at.number_input(key="control_query").set_value(alone).run()
    assert not at.exception
    assert "No other query ends as" in text(at)
    assert not [table for table in at.dataframe if "role" in table.value.columns]
    assert not [toggle for toggle in at.toggle if toggle.key == "without_winner"]


def test_taking_the_winner_out_shows_the_measured_change(open_app):
    at = open_app("decoder", image=FEW)
    group = star(at)
    assert not [table for table in at.dataframe if "change" in table.value.columns]
    at.toggle(key="without_winner").set_value(True).run()
    assert not at.exception
    rows = table_with(at, "change").value
    assert list(rows["query"]) == group.members[1:].tolist()
    np.testing.assert_allclose(rows["before"], group.scores[-1, 1:], atol=0.00051)
    np.testing.assert_allclose(rows["change"], rows["after"] - rows["before"], atol=1e-9)
    assert f"Without query {group.winner}" in text(at)
    assert at.session_state["view"].query is None  # the trace and the view stay what they are
    at.toggle(key="without_winner").set_value(False).run()
    assert f"Without query {group.winner}" not in text(at)


@pytest.mark.parametrize(
    ("choice", "changed"),
    [
        ({"query": 4, "compare": None}, {"query": 4, "compare": None}),
        ({"query": None, "layer": None, "compare": 9}, {"compare": 9}),
        ({"image": "scene-1", "layer": 0}, {"layer": 0}),
    ],
)
def test_only_what_the_moving_figure_may_choose_is_taken_over(monkeypatch, choice, changed):
    taken = {}
    monkeypatch.setattr(said, "message", lambda key, trigger: choice)
    monkeypatch.setattr(state, "change", lambda **fields: taken.update(fields))
    refinement.picked()
    assert taken == changed


def test_a_page_is_sent_at_most_a_megabyte(open_app, monkeypatch):
    sizes = []
    pack = decoder_payload.pack
    monkeypatch.setattr(decoder_payload, "pack", lambda *a, **k: sizes.append(len(pack(*a, **k))) or pack(*a, **k))
    at = open_app("decoder", image="sample-astronaut")
    assert sum(len(chart) for chart in charts(at)) + sizes[-1] < 1_000_000
