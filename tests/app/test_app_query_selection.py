"""The page of query selection: places, re-runs, levels, and links to them, good and bad."""

import json
from dataclasses import replace

import numpy as np
import pytest
from page_text import text_of

from app.components.score_maps import payload as query_selection_payload
from app.session import traces
from app.session.view import ViewState
from rtdetr_explained.illustrations.query_selection.place import answer, place_report
from rtdetr_explained.tracing.choice import choose

SLUG = "query_selection"
EMPTY = (0.5, 0.5)  # no query of nano stands here in the default scene


def said(at):
    """What the page says, without the escapes of Markdown."""
    return text_of(at).replace("\\", "")


def pick(at, element, rows):
    """Select rows of a table, as the browser reports it."""
    states = at._tree.get_widget_states()
    states.widgets.add(id=element.proto.id, string_value=json.dumps({"selection": {"rows": rows}}))
    at._run(states)


def header_of(data):
    """The header of what is sent to the score maps."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])


@pytest.fixture
def sent(monkeypatch):
    """The headers that were sent to the score maps, run by run."""
    headers = []
    pack = query_selection_payload.pack

    def note(*arguments):
        data = pack(*arguments)
        headers.append(header_of(data) | {"bytes": len(data)})
        return data

    monkeypatch.setattr(query_selection_payload, "pack", note)
    return headers


def test_without_a_place_the_page_says_how_to_ask(open_app, sent):
    at = open_app(SLUG)
    assert "Click anywhere in a score map" in said(at)
    assert "These are the model's own 100 queries" in said(at)
    assert at.button(key="release_selection").disabled
    assert sent[-1]["place"] is None
    assert sent[-1]["bytes"] < 300_000


def test_a_link_to_a_place_is_answered(open_app, sent):
    at = open_app(SLUG, image="scene-8", place="0.5,0.5")
    assert not at.exception
    trace = traces.trace_of(at.session_state["view"])
    report = place_report(choose(trace), *EMPTY)
    assert not report.queries
    assert answer(report) in said(at)
    assert "No query stands here" in said(at)
    assert "At (144, 144) px." in said(at)
    assert sent[-1]["place"] == [0.5, 0.5]
    assert at.query_params == {"image": "scene-8", "place": "0.5,0.5"}


def test_a_place_with_a_query_names_it_and_can_be_cleared(open_app):
    at = open_app(SLUG)
    trace = traces.trace_of(at.session_state["view"])
    origin = trace.query(5)
    h, w = trace.map_sizes[origin.level]
    x, y = (origin.col + 0.5) / w, (origin.row + 0.5) / h
    at = open_app(SLUG, place=f"{x:.4f},{y:.4f}", unit="image")
    assert "stands here" in said(at) or "stand here" in said(at)
    assert "5" in said(at).split(" here, from ")[0]
    assert f"At ({x:.3f}, {y:.3f})." in said(at)
    at.button(key="release_place").click().run()
    assert at.session_state["view"].place is None
    assert "place" not in at.query_params
    assert "Click anywhere in a score map" in said(at)


def test_a_row_of_the_queries_around_selects_one(open_app):
    at = open_app(SLUG, place="0.5,0.5")
    table = next(frame for frame in at.dataframe if "holds" in frame.value.columns)
    query = int(table.value["query"].iloc[0])
    pick(at, table, [0])
    assert not at.exception
    assert at.session_state["view"].query == query
    assert at.session_state["view"].place == EMPTY


@pytest.mark.parametrize("place", ["2,0.5", "0.5", "a,b", "0.5,-1", "nan,0"])
def test_a_bad_place_is_noted(open_app, place):
    at = open_app(SLUG, place=place)
    assert not at.exception
    assert "is not a place such as 0.25,0.6" in at.warning[0].value.replace("\\", "")
    assert at.session_state["view"] == ViewState()


@pytest.mark.parametrize(("queries", "gained", "lost"), [(40, 0, 60), (150, 50, 0)])
def test_another_number_of_queries_runs_again(open_app, sent, queries, gained, lost):
    at = open_app(SLUG)
    at.slider(key="control_queries").set_value(queries).run()
    assert not at.exception
    assert at.query_params == {"queries": str(queries)}
    assert f"With {queries} queries instead of 100: {gained} cells gained and {lost} lost." in said(at)
    assert "ms of the whole pass, were spared" in said(at)
    frame = next(frame for frame in at.dataframe if "change" in frame.value.columns)
    assert set(frame.value["change"]) <= {"lost", "lost, object kept", "gained", "changed", "same"}
    assert at.number_input(key="control_query").proto.max == 99  # the rest of the app keeps the untouched trace
    assert sent[-1]["kept"] == 100
    at.button(key="release_selection").click().run()
    assert at.query_params == {}
    assert "These are the model's own 100 queries" in said(at)


def test_choosing_cell_and_class_repeats_cells(open_app):
    at = open_app(SLUG)
    at.get_by_key("control_selection").set_value("one2many").run()
    assert not at.exception
    assert at.query_params == {"selection": "one2many"}
    assert "chosen by “cell and class” instead of “best class”" in said(at)
    assert "a cell's second or later" in said(at)
    at.get_by_key("control_selection").set_value("default").run()
    assert at.query_params == {}
    assert at.session_state["view"].selection is None


def test_a_place_is_compared_with_the_cut_of_the_rerun(open_app):
    at = open_app(SLUG, place="0.5,0.5", queries=60, selection="one2many")
    assert not at.exception
    assert "In the re-run the cut-off is" in said(at)
    assert at.slider(key="control_queries").value == 60
    assert at.get_by_key("control_selection").value == "one2many"


def test_the_models_own_settings_need_no_rerun(open_app):
    at = open_app(SLUG, queries=100, selection="default")
    assert "These are the model's own 100 queries" in said(at)
    assert at.query_params == {}


@pytest.mark.parametrize("queries", ["0", "-5", "many", "1e3"])
def test_a_bad_number_of_queries_is_noted(open_app, queries):
    at = open_app(SLUG, queries=queries)
    assert not at.exception
    assert "queries" in at.warning[0].value
    assert at.slider(key="control_queries").value == 100


@pytest.mark.parametrize("queries", [201, 1701, 99999])
def test_more_queries_than_can_be_run_are_left_out_with_a_sentence(open_app, queries):
    at = open_app(SLUG, queries=queries)
    assert not at.exception
    assert f"The link asks for {queries:,} queries" in at.warning[0].value
    assert "can be 1 to 200" in at.warning[0].value
    assert at.slider(key="control_queries").value == 100
    assert at.query_params == {}


def test_never_more_queries_than_cells(open_app):
    at = open_app(SLUG, image="scene-8")
    view = at.session_state["view"]
    trace = traces.trace_of(view)
    assert traces.offered(view, trace).most_queries == 200
    few = replace(trace, values=trace.values | {"decoder.logits": np.zeros((900, 12), np.float32)})
    assert traces.offered(view, few).most_queries == 1701


def test_a_level_is_shown_alone(open_app, sent):
    at = open_app(SLUG)
    at.get_by_key("control_level").set_value(1).run()
    assert not at.exception
    assert at.query_params == {"level": "1"}
    assert sent[-1]["only"] == 1
    at.session_state["table_score_maps"] = True
    at.run()
    marks = next(frame.value for frame in at.dataframe if "became" in frame.value.columns)
    assert set(marks["level"]) == {"S4"}
    at.get_by_key("control_level").set_value("all").run()
    assert at.query_params == {}
    at = open_app(SLUG, level=3)
    assert "There is no level 3" in at.warning[0].value


def test_the_maps_as_a_table_tell_what_became_of_every_marked_cell(open_app):
    at = open_app(SLUG, queries=110)
    at.session_state["table_score_maps"] = True
    at.run()
    marks = next(frame.value for frame in at.dataframe if "became" in frame.value.columns)
    assert list(marks["rank"]) == list(range(1, 126))
    assert list(marks["became"][:2]) == ["query 0", "query 1"]
    assert marks["became"].str.startswith("near miss").sum() == 25
    assert (marks["re-run"] == "gained").sum() == 10


def test_a_new_image_lets_go_of_place_and_rerun(open_app):
    at = open_app(SLUG, image="scene-8", place="0.5,0.5", queries=40)
    at.selectbox(key="sample").select("scene-2-crowded").run()
    assert not at.exception
    assert at.query_params == {"image": "scene-2-crowded"}


@pytest.mark.parametrize("image", ["sample-chelsea", "sample-coffee", "scene-5-small"])
def test_other_images(open_app, image):
    at = open_app(SLUG, image=image, place="0,1", queries=7, selection="one2many", level=2, unit="image")
    assert not at.exception
    assert not at.error
    assert "In the re-run the cut-off is" in said(at)


def test_a_place_is_kept_on_the_way_through_the_other_stages(open_app):
    at = open_app(SLUG, image="scene-8", place="0.5,0.5", queries=40)
    at.button(key="go_next").click().run()
    assert not at.exception
    at.button(key="go_previous").click().run()
    assert at.query_params == {"image": "scene-8", "place": "0.5,0.5", "queries": "40"}
    assert "No query stands here" in said(at)
