"""The sampling canvas on its page: what it is given, and that it is given it once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from app.components.payload import read_header
from app.components.sampling_canvas import payload as sampling_payload

OpenApp = Callable[..., AppTest]


def canvas_of(at: AppTest) -> bytes:
    """What was sent to the canvas."""
    components = [element.proto for element in at.main.get("bidi_component")]
    (payload,) = [one.bytes for one in components if one.component_name == "rtdetr_sampling_canvas"]
    return payload


def view_of(at: AppTest) -> dict:
    """What was sent beside it."""
    components = [element.proto for element in at.main.get("bidi_component")]
    (data,) = [one.json or one.mixed.json for one in components if one.component_name == "rtdetr_sampling_view"]
    return json.loads(data)


def test_the_canvas_gets_the_selection_of_the_link(open_app: OpenApp):
    at = open_app("deformable_attention", image="scene-3", query=7, compare=12, layer=2, head=3, point=40)
    assert not at.exception
    view = view_of(at)["view"]
    assert view["pinned"] == 7
    assert (view["compare"], view["layer"], view["head"], view["level"], view["point"]) == (12, 1, 3, None, 40)
    assert view_of(at)["id"] == read_header(canvas_of(at))["id"]


def test_nothing_is_pinned_until_somebody_does(open_app: OpenApp):
    at = open_app("deformable_attention", image="scene-3")
    assert view_of(at)["view"]["pinned"] is None


def test_a_pin_packs_nothing_again_and_sends_the_same_bytes(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch):
    at = open_app("deformable_attention", image="scene-3", query=7)
    before = canvas_of(at)

    def pack(trace: object) -> bytes:
        raise AssertionError("the payload of this trace is known")

    monkeypatch.setattr(sampling_payload, "pack", pack)
    at.query_params["query"] = "8"
    at.run()
    assert not at.exception
    assert view_of(at)["view"]["pinned"] == 8
    assert canvas_of(at) == before
