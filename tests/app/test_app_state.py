"""The view state: its translation to the URL and back, what of it fits a trace, and what may enter it from a page."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.session import images
from app.session.view import PARSERS, Offered, ViewState, accepted, fit, from_params, to_params
from app.widgets import units
from rtdetr_explained.weights import zoo

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
    heat=True,
    all_queries=True,
    shape="head",
    weight=0.05,
    grid=False,
    zoom=(2.5, 0.25, 0.5),
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
        ("layer", "0"),
        ("group", "0"),
        ("heat", "true"),
        ("grid", "2"),
        ("shape", "star"),
        ("weight", "0.6"),
        ("zoom", "2"),
        ("zoom", "1,0.5,0.5"),
        ("zoom", "99,0.5,0.5"),
        ("zoom", "2,0.5"),
        ("zoom", "2,0.5,1.5"),
        ("model", "file"),
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


COUNTS = {
    "query": 100,
    "compare": 100,
    "layer": 3,
    "head": 8,
    "level": 3,
    "point": 96,
    "cell": 81,
    "channel": 128,
    "group": 5,
}
OFFERED = Offered(COUNTS, 200, "default", 0, frozenset(("backbone.s3", "cross_attn.weights")))


def test_layers_and_groups_count_from_one_in_links():
    assert from_params({"layer": "1", "group": "1"})[0] == ViewState(layer=0, group=0)
    assert to_params(ViewState(layer=2, group=3)) == {"layer": "3", "group": "4"}


@pytest.mark.parametrize(("field", "count"), COUNTS.items())
def test_what_the_trace_does_not_have_is_dropped_with_one_sentence(field, count):
    first = int(field in ("layer", "group"))
    last, _ = from_params({field: str(count - 1 + first)})
    assert fit(last, OFFERED) == (last, [])
    beyond, _ = from_params({field: str(count + first)})
    view, (note,) = fit(beyond, OFFERED)
    assert view == ViewState()
    assert f"no {field} {count + first} " in note
    assert f"from {first} to {count - 1 + first};" in note


def test_more_queries_than_can_be_chosen_are_left_out():
    assert fit(ViewState(queries=200), OFFERED) == (ViewState(queries=200), [])
    view, (note,) = fit(ViewState(queries=201), OFFERED)
    assert view == ViewState()
    assert "201" in note
    assert "1 to 200" in note


def test_what_the_model_does_anyway_is_no_choice():
    assert fit(ViewState(queries=100, selection="default"), OFFERED) == (ViewState(), [])
    other = ViewState(queries=99, selection="one2many")
    assert fit(other, OFFERED) == (other, [])


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
    assert fit(view, OFFERED) == (view, [])
    view, notes = fit(ViewState(tensor="backbone.s9"), OFFERED)
    assert view == ViewState()
    assert "no tensor backbone.s9" in notes[0]


@pytest.mark.parametrize(("query", "best"), [(5, 0), (None, 5)])
def test_a_query_is_not_compared_with_itself(query, best):
    offered = replace(OFFERED, best=best)
    view, notes = fit(ViewState(query=query, compare=5), offered)
    assert view == ViewState(query=query)
    assert len(notes) == 1
    assert "itself" in notes[0]
    other = ViewState(query=query, compare=6)
    assert fit(other, offered) == (other, [])


def test_every_field_can_be_linked():
    assert set(PARSERS) == set(ViewState.__dataclass_fields__)


# --- laws -------------------------------------------------------------------------------------------------------------

parts = st.integers(0, 10_000).map(lambda n: n / 10_000)
index = st.integers(0, 99_999)
VIEWS = st.builds(
    ViewState,
    image=st.sampled_from([*images.SCENES, *images.PHOTOS, "scene-77-small", "upload-0123456789ab"]),
    model=st.sampled_from([*zoo.ZOO, "file-0123456789ab"]),
    **dict.fromkeys(("query", "compare", "layer", "head", "level", "point", "cell", "channel"), st.none() | index),
    scale=st.sampled_from([None, "map", "stage"]),
    unit=st.sampled_from(["px", "image"]),
    depth=st.sampled_from(["see", "tensors", "formula", "code"]),
    tensor=st.sampled_from([None, "backbone.s3", "cross_attn.weights"]),
    threshold=st.integers(0, 1_000_000).map(lambda n: n / 1_000_000),
    queries=st.none() | st.integers(1, 999_999),
    selection=st.sampled_from([None, "default", "one2many"]),
    place=st.none() | st.tuples(parts, parts),
    group=index,
    seed=index,
    **dict.fromkeys(("heat", "all_queries", "grid"), st.booleans()),
    shape=st.sampled_from(["level", "head"]),
    weight=st.integers(0, 50).map(lambda n: n / 100),
    zoom=st.none() | st.tuples(st.integers(1001, 40_000).map(lambda n: n / 1000), parts, parts),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
NEARLY = st.from_regex(r"[0-9](\.[0-9]{1,3})?(,[01](\.[0-9]{1,5})?){0,2}", fullmatch=True)
FIELD = st.sampled_from(list(PARSERS)) | st.text(max_size=5)


@given(VIEWS)
def test_every_view_comes_back_from_its_link(view):
    assert from_params(to_params(view)) == (view, [])


@given(st.dictionaries(FIELD, st.integers(0, 300).map(str) | NEARLY | st.text()))
@example({"query": "\ud800", "place": "0.5,\x00", "zoom": "nan,0.5,0.5"})
def test_any_string_gives_a_valid_view_or_one_sentence_for_each_field(params):
    view, notes = from_params(params)
    told = [field for field in PARSERS if any(re.match(rf"In the link, {field}\b", note) for note in notes)]
    assert len(told) == len(notes)
    for field in PARSERS:
        if field not in params or field in told:
            assert getattr(view, field) == getattr(ViewState(), field)
    assert from_params(to_params(view)) == (view, [])
    fitting, _ = fit(view, OFFERED)
    assert fit(fitting, OFFERED) == (fitting, [])


@given(st.dictionaries(FIELD, ANYTHING | st.integers(0, 300)))
def test_nothing_enters_a_view_but_what_was_offered(said):
    fields = accepted(said, OFFERED)
    assert set(fields) <= set(said) & set(PARSERS)
    view = ViewState(**fields)
    assert from_params(to_params(view)) == (view, [])
    assert fit(replace(view, compare=None), OFFERED)[1] == []


@given(VIEWS)
def test_a_page_may_choose_all_that_a_link_may(view):
    fields = {field: getattr(view, field) for field in PARSERS}
    assert accepted(fields, None) == fields
    fields = {field: list(value) if isinstance(value, tuple) else value for field, value in fields.items()}
    assert ViewState(**accepted(fields, None)) == view  # JSON knows no tuples


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("query", value) for value in (True, "7", "star 0.74 · query 7", -1, 1.5, 100, [7], {"x": 7}, float("nan"))),
        ("layer", -1),
        ("layer", 3),
        ("queries", 201),
        ("queries", 0),
        ("tensor", "backbone.s9"),
        ("depth", "bottom"),
        ("image", "scene-x"),
        ("model", "nano, embedded"),
        ("threshold", 1.2),
        ("threshold", False),
        ("threshold", None),
        ("heat", 1),
        ("place", [0.5]),
        ("place", [True, 0.5]),
        ("place", ["0.5", "0.5"]),
        ("place", [None, None]),
        ("zoom", [2.0, 0.5, float("inf")]),
        ("nonsense", 1),
    ],
)
def test_what_was_not_offered_is_left_alone(field, value):
    assert accepted({field: value, "head": 3}, OFFERED) == {"head": 3}


def test_numbers_of_a_browser_are_taken_as_what_they_are():
    said = {"query": 42.0, "threshold": 1, "place": [0.123456, 1], "layer": 2, "group": 4}
    fields = accepted(said, OFFERED)
    assert fields == {"query": 42, "threshold": 1.0, "place": (0.1235, 1.0), "layer": 2, "group": 4}
    assert type(fields["query"]) is int
    assert type(fields["threshold"]) is float
