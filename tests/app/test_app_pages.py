"""Each of the eight pages, opened by its address."""

import pytest
from page_text import text_of

from app.session.view import ViewState
from rtdetr_explained.illustrations.stages import STAGES


@pytest.mark.parametrize("slug", STAGES)
def test_a_page_is_whole(open_app, slug):
    at = open_app(slug)
    assert not at.exception
    assert not at.error
    assert not at.warning
    text = text_of(at)
    assert STAGES[slug].title in text
    assert STAGES[slug].sentence in text
    assert len(at.get("plotly_chart")) >= 1
    for kind in ("svg", "pdf", "png"):
        assert at.get_by_key(f"export_{slug}_{kind}").type == "download_button"
    assert at.query_params == {}
    assert [tab.label for tab in at.tabs][:2] == ["See", "Tensors"]
    at.session_state[f"table_{slug}"] = True
    at.run()
    assert not at.exception
    assert len(at.dataframe[-1].value) >= 1


def test_previous_and_next_lead_through_all_stages(open_app):
    at = open_app("overview")
    assert at.button(key="go_previous").disabled
    for title in [stage.title for stage in STAGES.values()][1:]:
        at.button(key="go_next").click().run()
        assert not at.exception
        assert any(title in element.value for element in at.markdown)
    assert at.button(key="go_next").disabled
    at.button(key="go_previous").click().run()
    assert any(STAGES["deformable_attention"].title in element.value for element in at.markdown)


def test_the_bare_address_is_the_overview(open_app):
    at = open_app("overview")
    bare = type(at).from_file(at._script_path, default_timeout=60).run()
    assert STAGES["overview"].sentence in text_of(bare)


def test_the_selected_query_follows_from_page_to_page(open_app):
    at = open_app("decoder")
    at.number_input(key="control_query").set_value(33).run()
    assert at.query_params == {"query": "33"}
    at.button(key="go_next").click().run()
    assert at.number_input(key="control_query").value == 33
    assert at.query_params == {"query": "33"}


def test_a_link_gives_the_same_view(open_app):
    at = open_app("deformable_attention", query=12, layer=2, head=3, cell=4, threshold=0.25, image="scene-3-few")
    assert not at.exception
    assert not at.warning
    view = at.session_state["view"]
    assert view == ViewState(image="scene-3-few", query=12, layer=1, head=3, cell=4, threshold=0.25)
    assert at.number_input(key="control_query").value == 12


def test_a_link_keeps_every_field_on_every_page(open_app):
    params = {
        "image": "scene-3-few",
        "query": "12",
        "compare": "13",
        "layer": "1",
        "head": "3",
        "level": "2",
        "point": "40",
        "cell": "4",
        "channel": "5",
        "scale": "stage",
        "unit": "image",
        "threshold": "0.25",
        "queries": "50",
        "selection": "one2many",
        "place": "0.1234,0.5",
        "group": "2",
        "seed": "7",
        "heat": "1",
        "weight": "0.1",
        "zoom": "2.5,0.25,0.6",
    }
    for slug in STAGES:
        at = open_app(slug, **params)
        assert not at.exception
        assert not at.error
        assert not at.warning
        assert list(at.query_params.items()) == list(params.items())


def test_a_link_that_compares_a_query_with_itself_is_noted(open_app):
    at = open_app("decoder", query=12, compare=12)
    assert "itself" in at.warning[0].value
    assert at.query_params == {"query": "12"}
    at = open_app("decoder", query=11, compare=12)
    at.number_input(key="control_query").set_value(12).run()
    assert at.query_params == {"query": "12"}
    assert not at.warning


def test_bad_values_in_a_link_are_noted_and_left_out(open_app):
    at = open_app("decoder", query=100, layer="x", image="<b>bold</b>", model="noone")
    assert not at.exception
    assert not at.error
    assert len(at.warning) == 1
    for word in ("query 100", "layer", "image"):
        assert word in at.warning[0].value.replace("\\", "")
    assert "<b>" not in at.warning[0].value
    assert at.session_state["view"] == ViewState()
    assert at.query_params == {}
    at.slider(key="control_threshold").set_value(0.3).run()
    assert not at.warning


def test_a_link_to_an_upload_asks_for_the_file(open_app):
    at = open_app("aifi", image="upload-0123456789ab")
    assert not at.exception
    assert "Upload the same file" in at.warning[0].value.replace("\\", "")
    assert at.session_state["view"].image == ViewState().image


def test_the_address_changes_the_view_when_it_changes_from_outside(open_app):
    at = open_app("overview", query=5)
    at.number_input(key="control_query").set_value(6).run()
    at.query_params["query"] = "5"  # the back button
    at.run()
    assert at.number_input(key="control_query").value == 5
