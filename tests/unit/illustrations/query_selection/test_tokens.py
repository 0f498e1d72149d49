"""What query selection ranks, against the trace; and the score maps as they go to the browser."""

import json
import struct

import numpy as np
import pytest

from app.components.score_maps.payload import CHOSEN, GAINED, INVALID, LOST, NEAR, pack
from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.query_selection import view as query_selection
from rtdetr_explained.illustrations.query_selection.change import selection_change
from rtdetr_explained.illustrations.query_selection.place import place_report
from rtdetr_explained.illustrations.query_selection.tokens import apart, ordinal, token_at, tokens
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid, token_place


@pytest.fixture(scope="module")
def pairs(detector: Detector, trace: Trace) -> Trace:
    """A run in which some tokens give several queries."""
    return detector.rerun(trace, [edits.set_selection("one2many"), edits.set_queries(120)])


@pytest.fixture(scope="module")
def wide(detector: Detector) -> Trace:
    """Maps so wide that the outer ring of S3 has no valid anchors."""
    return detector.trace(np.full((64, 448, 3), 90, np.uint8), size=(64, 448))


def test_every_token_has_its_place_score_and_rank(trace: Trace) -> None:
    every = tokens(trace)
    scores = sigmoid(trace["query_selection.scores"].array)
    np.testing.assert_array_equal(every.scores, scores)
    places = [token_place(token, trace.map_sizes) for token in range(len(scores))]
    np.testing.assert_array_equal(np.stack([every.levels, every.rows, every.cols], 1), places)
    np.testing.assert_array_equal(every.ranks[every.order], np.arange(1, len(scores) + 1))
    assert (np.diff(scores[every.order]) <= 0).all()
    np.testing.assert_array_equal(every.labels, trace["query_selection.class_logits"].array.argmax(1))


def test_chosen_tokens_are_those_of_the_queries(trace: Trace) -> None:
    every = tokens(trace)
    np.testing.assert_array_equal(np.flatnonzero(every.chosen), np.sort(trace.token_indices))
    np.testing.assert_array_equal(every.queries[trace.token_indices], np.arange(20))
    assert every.kept == 20
    assert set(every.ranks[every.chosen]) == set(range(1, 21))
    assert every.cutoff == every.scores[trace.token_indices].min()


def test_near_misses_are_the_best_of_the_rest(trace: Trace) -> None:
    every = tokens(trace)
    assert set(every.ranks[every.near]) == set(range(21, 26))
    assert "near miss, 1 below the cut" in every.fate(int(every.order[20]))
    assert every.fate(int(every.order[0])) == "query 0"
    assert every.fate(int(every.order[-1])).startswith("discarded")


def test_a_token_of_several_queries_is_known_by_its_first(pairs: Trace) -> None:
    every = tokens(pairs)
    assert every.times.sum() == 120
    assert every.kept == len(np.unique(pairs.token_indices)) < 120
    for token in np.flatnonzero(every.times > 1)[:10]:
        queries = np.flatnonzero(pairs.token_indices == token)
        assert every.queries[token] == queries[0]
        assert every.fate(int(token)) == f"query {queries[0]} and {len(queries) - 1} more"
    assert every.ranks[every.chosen].max() == every.kept  # pairs are ranked, and yet the best tokens are chosen


def test_a_token_lies_at_the_centre_of_its_cell(trace: Trace) -> None:
    every = tokens(trace)
    anchors = sigmoid(trace["query_selection.anchors"].array)[:, :2]
    np.testing.assert_allclose(every.centre(np.arange(len(anchors)))[every.valid], anchors[every.valid], atol=1e-6)
    for level in range(3):
        of_level = np.flatnonzero(every.levels == level).tolist()
        assert [token_at(every.map_sizes, level, *every.centre(token)) for token in of_level] == of_level
    assert token_at(every.map_sizes, 0, 0, 0) == 0
    assert token_at(every.map_sizes, 2, 1, 1) == len(anchors) - 1


@pytest.mark.parametrize(("x", "y"), [(-0.01, 0.5), (0.5, 1.01), (float("nan"), 0.5)])
def test_a_place_outside_has_no_token(trace: Trace, x: float, y: float) -> None:
    with pytest.raises(InputError, match="is not on the image; both numbers go from 0 to 1"):
        token_at(tuple(trace.map_sizes), 0, x, y)


def test_a_masked_token_is_told_by_its_fate(wide: Trace) -> None:
    every = tokens(wide)
    masked = np.flatnonzero(~every.valid)
    assert len(masked) > 0
    assert all(every.fate(int(token)).endswith("anchor not valid") for token in masked)
    assert len(np.unique(every.scores[masked])) == 1  # scored without their features, so all alike


def test_a_head_without_classes_knows_objects_only(trace: Trace) -> None:
    every = tokens(trace)
    object.__setattr__(every, "labels", np.full_like(every.labels, -1))
    assert every.class_name(3) == "object"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(0.031, 0.038, ("0.031", "0.038")), (0.0858, 0.0863, ("0.0858", "0.0863")), (0.5, 0.5, ("0.5", "0.5"))],
)
def test_scores_get_the_digits_they_need(one: float, other: float, expected: tuple[str, str]) -> None:
    assert apart(one, other) == expected


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112, 8402)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "8,402nd",
    ]  # fmt: skip


def unpack(data: bytes) -> tuple[dict, dict[str, bytes]]:
    """Header and sections, as the browser reads them."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    assert (8 + length) % 4 == 0
    return header, {name: body[start : start + size] for name, (start, size) in header["sections"].items()}


def test_the_payload_holds_every_token(detector: Detector, trace: Trace) -> None:
    again = detector.rerun(trace, [edits.set_queries(15)])
    change = selection_change(choose(trace), again)
    view = query_selection.view(
        choose(trace, query=3, unit="image", level=1), change, place_report(choose(trace), 0.25, 0.75)
    )
    header, sections = unpack(pack(view, trace))
    every = view.tokens
    np.testing.assert_array_equal(np.frombuffer(sections["scores"], "<f4"), every.scores)
    np.testing.assert_array_equal(np.frombuffer(sections["ranks"], "<u4"), every.ranks)
    np.testing.assert_array_equal(np.frombuffer(sections["queries"], "<i4"), every.queries)
    np.testing.assert_array_equal(np.frombuffer(sections["labels"], "<i2"), every.labels)
    state = np.frombuffer(sections["state"], "u1")
    np.testing.assert_array_equal(state & CHOSEN > 0, every.chosen)
    np.testing.assert_array_equal(state & NEAR > 0, every.near)
    np.testing.assert_array_equal(state & INVALID > 0, ~every.valid)
    np.testing.assert_array_equal(np.flatnonzero(state & LOST), change.lost)
    assert not (state & GAINED).any()
    more = selection_change(choose(trace), detector.rerun(trace, [edits.set_queries(26)]))
    _, of_more = unpack(pack(query_selection.view(choose(trace), more), trace))
    gained = np.frombuffer(of_more["state"], "u1") & GAINED > 0
    np.testing.assert_array_equal(np.flatnonzero(gained), more.gained)
    assert gained.sum() == 6
    assert sections["photo"].startswith(b"\xff\xd8")
    assert header["selected"] == trace.token_indices[3]
    assert header["place"] == [0.25, 0.75]
    assert header["only"] == 1
    assert header["sizes"] == [list(size) for size in trace.map_sizes]
