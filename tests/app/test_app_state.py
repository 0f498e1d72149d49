"""The view state and its translation to the URL and back."""

import pytest

from app import state
from app.state import Limits, ViewState, fit, from_params, to_params


@pytest.mark.parametrize(
    "view",
    [
        ViewState(),
        ViewState(image="sample-chelsea", model="rtdetrv2_r18vd"),
        ViewState(image="scene-123456-crowded", query=17, layer=0, head=7, cell=80, channel=3),
        ViewState(image="upload-0123456789ab", threshold=0.05, seed=999),
        ViewState(scale="stage", group=2),
        ViewState(threshold=0.0),
        ViewState(threshold=1.0),
    ],
)
def test_url_round_trip(view):
    assert from_params(to_params(view)) == (view, [])


def test_defaults_leave_the_url_empty():
    assert to_params(ViewState()) == {}
    assert to_params(ViewState(query=0)) == {"query": "0"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("query", "-1"),
        ("query", "1.5"),
        ("query", "seventeen"),
        ("query", "٣"),
        ("query", "9" * 400),
        ("layer", ""),
        ("head", "all"),
        ("seed", "1e3"),
        ("threshold", "2"),
        ("threshold", "1.5"),
        ("threshold", "nan"),
        ("threshold", "-0.1"),
        ("image", "../../etc/passwd"),
        ("image", "scene-x"),
        ("image", "scene-1-unknown"),
        ("image", "upload-xyz"),
        ("scale", "everything"),
        ("model", "rtdetrv3"),
        ("model", "/tmp/model.pth"),
    ],
)
def test_a_bad_value_falls_back_with_one_sentence(field, value):
    view, notes = from_params({field: value, "channel": "5"})
    assert view == ViewState(channel=5)
    assert len(notes) == 1
    assert field in notes[0]
    assert len(notes[0]) < 150


def test_a_note_repeats_a_harmless_value_and_no_other():
    assert "query 'seventeen' is" in from_params({"query": "seventeen"})[1][0]
    for value in ("www.example.com", "https://example.com", "[a](b)", "a@b.cd", "x" * 50):
        assert value not in from_params({"image": value})[1][0]


def test_parameters_of_others_are_ignored():
    assert from_params({"utm_source": "mail", "foo": ""}) == (ViewState(), [])


def test_indices_that_the_trace_does_not_have_are_dropped():
    limits = Limits(query=100, layer=3, head=8, cell=81, channel=128)
    view, notes = fit(ViewState(query=100, layer=2, head=8, cell=80, channel=128), limits)
    assert view == ViewState(layer=2, cell=80)
    assert [note.split()[3] for note in notes] == ["query", "head", "channel"]
    assert "0 to 99" in notes[0]
    assert fit(ViewState(query=99, channel=127), limits) == (ViewState(query=99, channel=127), [])


def test_every_field_can_be_linked():
    assert set(state.PARSERS) == set(ViewState.__dataclass_fields__)
