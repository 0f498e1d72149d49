"""What a browser sends may be out of date or made up: the session goes on with what was offered."""

from __future__ import annotations

import json
import shutil

import pytest
from page_text import text_of

from app.components import keys as keyboard
from app.session import traces, weights
from app.session.view import ViewState
from rtdetr_explained.weights import zoo

NEXT_SCENES = 29


def send(at, changed, press=None):
    """Run once more with what the browser would send, `changed` by the key of a widget, and with a button pressed."""
    states = at._tree.get_widget_states()
    if press:
        pressed = at.button(key=press).proto.id
        next(one for one in states.widgets if one.id == pressed).trigger_value = True
    for key, values in changed.items():
        element = at.get_by_key(key).proto
        known = [one for one in states.widgets if one.id == element.id]
        state = known[0] if known else states.widgets.add(id=element.id)
        for name, value in values.items():
            if isinstance(value, list):
                getattr(state, name).data[:] = value
            else:
                setattr(state, name, value)
    at._run(states)
    return at


def test_the_next_scenes_with_labels_of_the_scene_before(open_app):
    at = open_app("overview", image="scene-8", threshold=0.3)
    at.get_by_key("source").set_value("Scene").run()
    number, stale = 8, 0
    for _ in range(NEXT_SCENES):
        jump = [box for box in at.selectbox if box.key == "jump_query"]
        before = jump[0].options if jump else []
        at.button(key="scene_next").click().run()
        number += 1
        assert not at.exception
        assert at.query_params == {"image": f"scene-{number}", "threshold": "0.3"}
        best = int(traces.trace_of(at.session_state["view"]).scores.argmax())
        if not [box for box in at.selectbox if box.key == "jump_query"] or not before:
            continue
        gone = [label for label in before if label not in at.selectbox(key="jump_query").options]
        stale += len(gone)
        for label in gone[:1]:
            send(at, {"jump_query": {"string_value": label}})
            assert not at.exception
            assert not at.error
            assert at.session_state["view"] == ViewState(image=f"scene-{number}", threshold=0.3)
            assert at.number_input(key="control_query").value == best
    assert stale >= NEXT_SCENES / 2  # or nothing was tried


def test_a_label_of_the_scene_before_and_then_the_tensors(open_app):
    at = open_app("overview")
    send(at, {"jump_query": {"string_value": "star 0.99 · query 3"}})
    at.session_state["depth_overview"] = "Tensors"
    at.run()
    assert not at.exception
    assert at.session_state["view"].query is None


WIDGETS = [
    ("overview", "control_model"),
    ("overview", "sample"),
    ("overview", "jump_query"),
    ("backbone", "control_channel"),
    ("denoising", "control_group"),
]


@pytest.mark.parametrize("label", ["nonsense", "", "true", "[1]", "\x00"])
def test_an_unknown_label_is_no_option(open_app, label):
    for slug in dict.fromkeys(slug for slug, _ in WIDGETS):
        at = open_app(slug)
        send(at, {key: {"string_value": label} for page, key in WIDGETS if page == slug})
        assert not at.exception
        assert at.session_state["view"] == ViewState()
        assert at.query_params == {}


def test_an_unknown_tensor_is_no_option(open_app):
    at = open_app("ccff", depth="tensors")
    send(at, {"choice_ccff_tensor": {"string_value": "../../etc/passwd"}})
    assert not at.exception
    assert at.session_state["view"] == ViewState(depth="tensors")


@pytest.mark.parametrize(
    "selection", [{}, {"rows": "0"}, {"rows": [10**9]}, {"rows": [True]}, {"rows": [[0]]}, {"points": 1}]
)
def test_a_made_up_selection_selects_nothing(open_app, selection):
    at = open_app("overview")
    for element in (at.dataframe[0], at.get("plotly_chart")[0]):
        states = at._tree.get_widget_states()
        states.widgets.add(
            id=element.proto.id, string_value=json.dumps({"selection": {"rows": [], "points": []} | selection})
        )
        at._run(states)
        assert not at.exception
        assert at.session_state["view"].query is None


@pytest.fixture
def at_home(monkeypatch):
    """The app as it is started for the owner of the computer alone."""
    monkeypatch.setenv("RTDETR_EXPLAINED_OPEN_FILES", "1")


def weights_named(title: str) -> str:
    """The name of a model by its title."""
    return next(name for name in weights._OPENED if weights.title(name) == title)


@pytest.mark.usefixtures("at_home")
def test_own_weights_of_one_name_then_the_next_scene_then_a_reload(open_app, tmp_path):
    paths = [tmp_path / folder / "model.safetensors" for folder in ("a", "b")]
    at = open_app("overview", image="scene-8")
    at.get_by_key("source").set_value("Scene").run()
    for path in paths:
        path.parent.mkdir()
        shutil.copy(zoo.EMBEDDED / zoo.find("nano").filename, path)
        at.text_input(key="weights_file").set_value(str(path)).run()
        assert not at.exception
    labels = [label for label in at.selectbox(key="control_model").options if "model.safetensors" in label]
    assert len(set(labels)) == 2
    send(at, {"control_model": {"string_value": labels[0]}}, press="scene_next")
    assert not at.exception
    assert not at.error
    name = at.session_state["view"].model
    assert weights.title(name) == labels[0]
    assert at.session_state["view"].image == "scene-9"
    at.selectbox(key="control_model").set_value(weights_named(labels[1])).run()
    assert weights.title(at.session_state["view"].model) == labels[1]

    again = open_app("overview", **at.query_params)
    assert not again.exception
    assert not [note for note in again.warning if "weights file" in note.value]
    assert again.session_state["view"] == at.session_state["view"]
    assert again.selectbox(key="control_model").value == at.session_state["view"].model


@pytest.mark.usefixtures("at_home")
def test_what_is_wrong_with_a_path_is_said_outside_of_the_section(open_app, monkeypatch):
    at = open_app("overview", model="rtdetrv2_r18vd")

    def fail(*arguments):
        raise weights.InputError("The download failed.")

    monkeypatch.setattr(weights, "fetch", fail)
    at.button(key="download").click().run()
    assert "download failed" in at.error[0].value
    at.text_input(key="weights_file").set_value("/nowhere/model.pth").run()
    assert not at.sidebar.expander[0].error
    assert [error for error in at.sidebar.error if "no file" in error.value]


def test_who_cannot_have_a_turn_is_told_so_and_can_try_again(open_app, monkeypatch):
    monkeypatch.setattr(traces, "PATIENCE_S", 0.01)
    with traces.one_pass():
        at = open_app("overview", image="scene-4242")
        assert not at.exception
        assert "Busy, please wait" in text_of(at)
        assert not at.get("plotly_chart") or "overview" not in at.get("plotly_chart")[0].proto.id
    at.button(key="try_again").click().run()
    assert "Busy" not in text_of(at)
    assert at.query_params == {"image": "scene-4242"}
    assert at.number_input(key="control_query")


def test_only_so_many_wait(monkeypatch):
    monkeypatch.setattr(traces, "PATIENCE_S", 60)
    waiting = [traces._WAITING.acquire(blocking=False) for _ in range(traces.MOST_WAITING)]
    try:
        with pytest.raises(traces.Busy, match="please wait"), traces.one_pass():
            pass
    finally:
        for _ in waiting:
            traces._WAITING.release()
    with traces.one_pass():
        pass


@pytest.mark.parametrize(
    ("slug", "depth", "layers"),
    [
        ("overview", "see", 0),
        ("overview", "tensors", 3),
        ("denoising", "see", 0),
        ("denoising", "tensors", 0),
        ("decoder", "see", 3),
        ("decoder", "code", 0),
        ("deformable_attention", "formula", 3),
    ],
)
def test_up_and_down_change_the_layer_only_where_one_is_shown(open_app, slug, depth, layers):
    at = open_app(slug, depth=depth)
    components = [element.proto for element in at.main.get("bidi_component")]
    (keys,) = [one for one in components if one.component_name == "rtdetr_keyboard"]
    assert json.loads(keys.json or keys.mixed.json)["layers"] == layers
    shown = "control_layer" in {control.key for control in at.get("button_group")}
    assert bool(layers) == (shown or (slug, depth) == ("deformable_attention", "see"))  # there they are in the canvas
    assert keyboard.KEY
