"""The view state and its translation to the URL and back."""

import pytest

from app.session import state
from app.session.state import Limits, ViewState, fit, from_params, to_params
from app.widgets import units

EVERYTHING = ViewState(
    image="scene-3-few",
    model="rtdetrv2_r18vd",
    query=12,
    compare=13,
    layer=1,
    head=3,
    level=2,
    point=40,
    cell=4,
    channel=5,
    scale="stage",
    unit="image",
    depth="code",
    tensor="cross_attn.weights",
    threshold=0.25,
    queries=200,
    selection="one2many",
    place=(0.1234, 0.5),
    group=1,
    seed=7,
)


@pytest.mark.parametrize(
    "view",
    [
        ViewState(),
        ViewState(image="sample-chelsea", model="rtdetrv2_r18vd"),
        ViewState(image="scene-123456-crowded", query=17, layer=0, head=7, cell=80, channel=3),
        ViewState(image="upload-0123456789ab", threshold=0.05, seed=999),
        ViewState(scale="stage", group=2),
        ViewState(query=3, compare=0, level=2, point=95),
        ViewState(unit="image", depth="formula"),
        ViewState(queries=100, selection="one2many", place=(0.25, 0.0001)),
        ViewState(place=(0.0, 1.0)),
        ViewState(threshold=0.000001),
        EVERYTHING,
        ViewState(threshold=0.0),
        ViewState(threshold=1.0),
    ],
)
def test_url_round_trip(view):
    assert from_params(to_params(view)) == (view, [])


def test_the_link_names_every_field_in_the_order_of_the_state():
    assert list(to_params(EVERYTHING)) == list(ViewState.__dataclass_fields__)


def test_a_place_is_kept_to_four_decimals():
    assert from_params({"place": "0.123456,1"})[0].place == (0.1235, 1.0)


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
        ("compare", "-2"),
        ("level", "S3"),
        ("point", "1.0"),
        ("unit", "inch"),
        ("depth", "bottom"),
        ("depth", ""),
        ("tensor", "<b>"),
        ("tensor", ""),
        ("queries", "0"),
        ("queries", "many"),
        ("selection", "random"),
        ("place", "0.5"),
        ("place", "0.5,1.2"),
        ("place", "0.5,0.5,0.5"),
        ("place", "a,b"),
        ("place", ","),
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


LIMITS = Limits(query=100, compare=100, layer=3, head=8, level=3, point=96, cell=81, channel=128)
SITES = ("backbone.s3", "decoder.layers.0.cross_attn.weights")


def test_indices_that_the_trace_does_not_have_are_dropped():
    view, notes = fit(ViewState(query=100, layer=2, head=8, cell=80, channel=128), LIMITS, best=0, sites=SITES)
    assert view == ViewState(layer=2, cell=80)
    assert [note.split()[3] for note in notes] == ["query", "head", "channel"]
    assert "0 to 99" in notes[0]
    view, notes = fit(ViewState(compare=100, level=3, point=96), LIMITS, best=0, sites=SITES)
    assert view == ViewState()
    assert [note.split()[3] for note in notes] == ["compare", "level", "point"]
    last = ViewState(query=99, compare=98, level=2, point=95, channel=127)
    assert fit(last, LIMITS, best=0, sites=SITES) == (last, [])


def test_a_layer_beyond_the_last_is_told_as_links_and_pages_count():
    view, notes = fit(ViewState(layer=3), LIMITS, best=0, sites=SITES)
    assert view.layer is None
    assert notes == ["Links count layers from 0: layer=3 is layer 4, and there are 3; it was left out."]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (-1.2, "px", "−1"),
        (-0.3, "px", "0"),
        (12.6, "px", "13"),
        (-0.0314, "image", "−0.031"),
        (-0.0002, "image", "0.000"),
    ],
)
def test_lengths_have_a_true_minus_sign(value, unit, text):
    assert units.length(value, unit) == text


def test_a_tensor_is_named_without_its_layer():
    view, _ = from_params({"tensor": "decoder.layers.2.cross_attn.weights"})
    assert view == ViewState(tensor="cross_attn.weights")
    assert fit(view, LIMITS, best=0, sites=SITES) == (view, [])
    view, notes = fit(ViewState(tensor="backbone.s9"), LIMITS, best=0, sites=SITES)
    assert view == ViewState()
    assert "no tensor backbone.s9" in notes[0]


@pytest.mark.parametrize(("query", "best"), [(5, 0), (None, 5)])
def test_a_query_is_not_compared_with_itself(query, best):
    view, notes = fit(ViewState(query=query, compare=5), LIMITS, best=best, sites=SITES)
    assert view == ViewState(query=query)
    assert len(notes) == 1
    assert "itself" in notes[0]
    other = ViewState(query=query, compare=6)
    assert fit(other, LIMITS, best=best, sites=SITES) == (other, [])


def test_every_field_can_be_linked():
    assert set(state.PARSERS) == set(ViewState.__dataclass_fields__)
