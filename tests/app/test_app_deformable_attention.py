"""The page of deformable attention: the point in numbers, the proof, what taking points away does, and its links."""

import dataclasses
import json

import pytest
from page_text import text_of

from app.session import traces
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.deformable_attention import points
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.edits import SetSampling
from rtdetr_explained.tracing.results import Reading

SLUG = "deformable_attention"
POINTS = 8 * 12


def table(at, heading):
    """The table whose first column has this heading."""
    found = [table.value for table in at.table if heading in table.value.columns]
    assert len(found) == 1
    return found[0]


def charts(at):
    """All figures on the page by their key, as they are sent to the browser."""
    return {chart.proto.id.split("-")[-1]: chart.proto.spec for chart in at.get("plotly_chart")}


def words(at):
    """Everything that is written, without the escapes of Markdown."""
    return text_of(at).replace("\\", "")


def test_the_page_shows_the_heaviest_point_of_the_best_query(open_app):
    at = open_app(SLUG)
    assert not at.exception
    assert not at.error
    trace = traces.trace_of(at.session_state["view"])
    query = int(trace.scores.argmax())
    chain = points.chain(choose(trace, query=query, layer=2))
    title = points.name_of(chain)
    assert title[1:] in words(at)
    numbers = table(at, "Why it lies there")
    location = numbers[numbers.iloc[:, 0].str.contains("location")].iloc[0]
    expected = chain.location * trace.image_size
    assert [float(location["x"]), float(location["y"])] == pytest.approx(expected.tolist(), abs=0.051)
    assert f"1 of {POINTS} by weight" in words(at)
    assert at.button(key="point_heavier").disabled
    assert set(charts(at)) == {
        "figure_cells",
        "figure_deformable_attention_weights",
        "figure_deformable_attention_spread",
        "figure_deformable_attention_sampling",
    }


def test_the_next_lighter_point_and_back(open_app):
    at = open_app(SLUG)
    trace = traces.trace_of(at.session_state["view"])
    order = points.by_weight(choose(trace))
    before = charts(at)["figure_cells"]
    at.button(key="point_lighter").click().run()
    assert at.session_state["view"].point == order[1]
    assert at.query_params == {"point": str(order[1])}
    assert f"2 of {POINTS} by weight" in words(at)
    assert charts(at)["figure_cells"] != before
    at.button(key="point_heavier").click().run()
    assert at.session_state["view"].point == order[0]
    assert charts(at)["figure_cells"] == before


def test_the_lightest_point_has_no_lighter_one(open_app):
    trace = traces.trace_of(open_app(SLUG).session_state["view"])
    last = int(points.by_weight(choose(trace, query=5, layer=0))[-1])
    at = open_app(SLUG, query=5, layer=1, point=last)
    assert at.button(key="point_lighter").disabled
    assert not at.button(key="point_heavier").disabled
    assert f"{POINTS} of {POINTS} by weight" in words(at)


def test_a_link_shows_one_head_one_level_and_a_compared_query(open_app):
    at = open_app(SLUG, query=12, compare=30, layer=2, head=3, level=1, point=41, unit="image")
    assert not at.exception
    assert not at.warning
    view = at.session_state["view"]
    assert (view.query, view.compare, view.layer, view.head, view.level, view.point) == (12, 30, 1, 3, 1, 41)
    assert "ead 3, S4, point 1" in words(at)  # 41 = 3 × 12 + 4 + 1
    assert "of 4 by weight" in words(at)
    assert "query 30 puts" in words(at)
    assert "head 3 on S4" in words(at)
    location = table(at, "Why it lies there").iloc[6]
    trace = traces.trace_of(view)
    chain = points.chain(choose(trace, query=12, layer=1, point=41))
    assert float(location["x"]) == pytest.approx(chain.location[0], abs=6e-5)


def test_a_bad_link_says_so_and_shows_what_fits(open_app):
    at = open_app(SLUG, point=POINTS, level=3, head="x", compare=999, unit="feet")
    assert not at.exception
    assert not at.error
    for field in ("point", "level", "head", "compare", "unit"):
        assert field in at.warning[0].value
    assert "1 of 96 by weight" in words(at)
    assert at.query_params == {}


def test_the_badge_is_green_when_the_picture_is_the_computation(open_app):
    for layer in range(3):
        at = open_app(SLUG, layer=layer + 1)
        assert ":green-badge" in text_of(at)
        assert "The picture is the computation" in words(at)
        assert f"The output of layer {layer + 1} was computed a second time" in words(at)
        assert "9,600 points" in words(at)


def test_the_badge_is_red_when_it_is_not(open_app, monkeypatch):
    original = traces.reading_of

    def wrong(*arguments) -> tuple[Reading, object]:
        reading, proof = original(*arguments)
        return reading, dataclasses.replace(proof, max_error=0.5)

    monkeypatch.setattr(traces, "reading_of", wrong)
    at = open_app(SLUG)
    assert ":red-badge" in text_of(at)
    assert ":green-badge" not in text_of(at)
    assert "The picture is not the computation" in words(at)
    assert "5.0 × 10⁻¹" in words(at)


def test_taking_points_away_is_measured_when_asked_for(open_app):
    at = open_app(SLUG, query=5)
    assert "figure_deformable_attention_points" not in charts(at)
    at.number_input(key="drop_points").set_value(3).run()
    at.button(key="drop_heaviest").click().run()
    assert not at.exception
    assert "Without its 3 heaviest points in layer 3" in words(at)
    first = charts(at)["figure_deformable_attention_points"]
    at.get_by_key("drop_mode").set_value("renormalise").run()
    assert "figure_deformable_attention_points" not in charts(at)  # another question, not yet asked
    at.button(key="drop_heaviest").click().run()
    assert "shared among" in words(at)
    assert charts(at)["figure_deformable_attention_points"] != first
    at.number_input(key="control_query").set_value(6).run()
    assert "figure_deformable_attention_points" not in charts(at)


def test_no_more_points_are_taken_than_are_shown(open_app):
    at = open_app(SLUG, head=1, level=2)
    assert at.number_input(key="drop_points").max == 4
    assert at.number_input(key="drop_points").value == 4
    at.button(key="drop_heaviest").click().run()
    assert not at.exception
    assert "4 heaviest points of head 1 on S5" in words(at)


def test_heads_and_levels_are_taken_out_when_asked_for(open_app):
    at = open_app(SLUG, query=5)
    assert "figure_deformable_attention_parts" not in charts(at)
    at.button(key="drop_parts").click().run()
    assert not at.exception
    before = charts(at)["figure_deformable_attention_parts"]
    at.number_input(key="control_query").set_value(6).run()  # the runs were for all queries
    assert charts(at)["figure_deformable_attention_parts"] != before


def test_runs_are_not_repeated(open_app, monkeypatch):
    at = open_app(SLUG, query=7, layer=1)
    at.button(key="drop_parts").click().run()
    monkeypatch.setattr(Detector, "rerun", lambda *arguments: pytest.fail("was run before"))
    at.number_input(key="control_query").set_value(8).run()
    assert not at.exception
    assert "one at a time" in words(at)


def test_a_click_in_the_spread_selects_a_query(open_app):
    at = open_app(SLUG)
    chart = next(c for c in at.get("plotly_chart") if "spread" in c.proto.id)
    states = at._tree.get_widget_states()
    value = json.dumps({"selection": {"points": [{"customdata": 42}]}})
    states.widgets.add(id=chart.proto.id, string_value=value)
    at._run(states)
    assert at.session_state["view"].query == 42


def test_a_discrete_model_is_shown_as_it_reads(open_app, monkeypatch):
    at = open_app(SLUG)
    view = at.session_state["view"]
    discrete = traces.rerun_of(view, traces.trace_of(view), (SetSampling("discrete"),))
    traces.reading_of.clear()
    traces.outcome_of.clear()
    monkeypatch.setattr(traces, "trace_of", lambda view: discrete)
    try:
        at = open_app(SLUG)
        assert not at.exception
        assert "One cell counts whole" in words(at)
        assert ":green-badge" in text_of(at)
        assert "With bilinear reads in every layer" in words(at)
    finally:  # these were kept under the name of the bilinear trace
        traces.reading_of.clear()
        traces.outcome_of.clear()


def test_exports_and_tables_of_every_figure(open_app):
    at = open_app(SLUG)
    for name in (SLUG, *(f"{SLUG}_{part}" for part in ("weights", "spread", "sampling"))):
        for kind in ("svg", "pdf", "png"):
            assert at.get_by_key(f"export_{name}_{kind}").type == "download_button"
