"""The inspector: the selected query and the one beside it, in the unit of the view."""

import pytest
from page_text import text_of

from app.components import keys as keyboard
from app.session import images, traces
from app.session.view import ViewState
from rtdetr_explained.illustrations.stages import STAGES


def test_the_compared_query_stands_beside_the_selected_one(open_app):
    at = open_app("backbone", query=10, compare=0)
    assert not at.exception
    who, way = (table.value for table in at.table[-2:])
    assert list(who.columns) == ["Query", "● 10", "◆ 0"]
    trace = traces.trace_of(ViewState())
    for column, query in (("● 10", 10), ("◆ 0", 0)):
        assert f"{trace.scores[query]:.2f}" in who[column][1]
        assert trace.class_names[trace.labels[query]] in who[column][0]
    assert len(way) == trace.num_layers
    assert any("query 0, compared" in element.proto.body for element in at.get("html"))


def test_swapping_and_releasing_the_compared_query(open_app):
    at = open_app("backbone", query=10, compare=0)
    at.button(key="swap").click().run()
    assert at.query_params == {"query": "0", "compare": "10"}
    at.button(key="release_compare").click().run()
    assert at.query_params == {"query": "0"}
    assert "swap" not in {button.key for button in at.button}


def test_the_best_query_can_be_swapped_although_nobody_selected_it(open_app):
    at = open_app("ccff", compare=7)
    best = at.number_input(key="control_query").value
    at.button(key="swap").click().run()
    assert at.query_params == {"query": "7", "compare": str(best)}


def test_comparing_from_the_field(open_app):
    at = open_app("aifi")
    assert at.number_input(key="control_compare").value is None
    at.number_input(key="control_compare").set_value(3).run()
    assert at.query_params == {"compare": "3"}
    at.number_input(key="control_compare").set_value(None).run()
    assert at.query_params == {}


SCENE = "scene-8"


def test_the_table_of_detections_follows_the_unit(open_app):
    boxes = {unit: open_app("overview", image=SCENE, unit=unit).dataframe[0].value["box"] for unit in ("px", "image")}
    size = images.load(SCENE).width  # it is square
    for pixels, parts in zip(boxes["px"], boxes["image"], strict=True):
        numbers = [
            [float(n) for n in text.replace("−", "-").replace(" – ", ", ").split(", ")] for text in (pixels, parts)
        ]
        assert numbers[0] == pytest.approx([n * size for n in numbers[1]], abs=0.7)


def test_the_unit_of_positions(open_app):
    at = open_app("ccff", query=4)
    assert "px" in at.table[-2].value.iloc[2, 0]
    at.get_by_key("inspector_unit").set_value("image").run()
    assert at.query_params == {"query": "4", "unit": "image"}
    assert "of the image" in at.table[-2].value.iloc[2, 0]
    assert "Moved (0..1)" in at.table[-1].value.columns
    x, y = map(float, at.table[-2].value.iloc[3, 0].strip("()").split(","))
    assert 0 < x < 1
    assert 0 < y < 1


@pytest.mark.parametrize("slug", STAGES)
def test_embedded_pages_show_the_lecture_only(open_app, slug):
    at = open_app(slug, embed=1)
    assert not at.exception
    assert not at.sidebar.children
    assert "go_next" not in {button.key for button in at.button}
    assert not at.get("download_button")
    assert STAGES[slug].title in text_of(at)
    assert at.query_params == {"embed": "1"}


@pytest.mark.parametrize(("value", "hidden"), [("true", True), ("1", True), ("0", False), ("yes", False)])
def test_what_asks_for_an_embedded_page(open_app, value, hidden):
    assert (not open_app("ccff", embed=value).sidebar.children) is hidden


def test_escape_lets_go_of_the_last_choice_first():
    view = ViewState(query=1, compare=2, place=(0.5, 0.5), point=3, layer=1)
    assert keyboard.next_release(view) == {"compare": None}
    assert keyboard.next_release(ViewState(query=1, place=(0.5, 0.5), point=3)) == {"place": None, "point": None}
    assert keyboard.next_release(ViewState(query=1, cell=4)) == {"cell": None}
    assert keyboard.next_release(ViewState(query=1)) == {"query": None}
    assert keyboard.next_release(ViewState(layer=1, head=2)) == {}
