"""The figure of query selection: scores by level, the cut, and the way from a cell to its first box."""

import numpy as np
import pytest
from figure_checks import plotly_trace
from mark_checks import check_marks, plain

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.text import short_name
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.query_selection import view as query_selection
from rtdetr_explained.illustrations.query_selection.figure import log_ticks
from rtdetr_explained.tracing.trace import Trace, sigmoid


def test_maps_hold_the_probability_of_every_token(trace: Trace) -> None:
    view = query_selection.view(trace)
    drawn = np.concatenate([scores.ravel() for scores in view.level_scores])
    np.testing.assert_array_equal(drawn, sigmoid(trace["query_selection.class_logits"].array).max(1))
    assert [scores.shape for scores in view.level_scores] == trace.map_sizes


def test_chosen_cells_are_the_chosen_tokens(trace: Trace) -> None:
    view = query_selection.view(trace)
    starts = np.cumsum([0, *(h * w for h, w in trace.map_sizes)])
    tokens = np.full(len(trace.token_indices), -1)
    for start, cells, (_, w) in zip(starts[:-1], view.chosen, trace.map_sizes, strict=True):
        tokens[cells[:, 0]] = start + cells[:, 1] * w + cells[:, 2]
    np.testing.assert_array_equal(tokens, trace.token_indices)


def test_the_cut_is_the_score_of_the_last_chosen_cell(trace: Trace) -> None:
    view = query_selection.view(trace)
    scores = sigmoid(trace["query_selection.scores"].array)
    assert view.cutoff == pytest.approx(float(np.sort(scores)[-view.kept]))
    assert view.sorted_scores[view.kept - 1] == pytest.approx(view.cutoff)
    assert view.kept == view.num_queries == 20
    assert (np.diff(view.sorted_scores) <= 0).all()
    counts = [len(cells) for cells in view.chosen]
    assert view.share == tuple(count / 20 for count in counts)


@pytest.mark.parametrize("query", [0, 7, 19])
def test_the_offset_leads_from_the_anchor_to_the_first_box(trace: Trace, query: int) -> None:
    view = query_selection.view(trace, query)
    np.testing.assert_array_equal(view.box, trace["query_selection.reference_boxes"].array[query])
    np.testing.assert_allclose(sigmoid(view.anchor_logit), view.anchor)
    np.testing.assert_allclose(sigmoid(view.anchor_logit + view.offset), view.box, atol=1e-6)
    h, w = trace.map_sizes[view.level]
    np.testing.assert_allclose(view.anchor[:2], [(view.col + 0.5) / w, (view.row + 0.5) / h], atol=1e-6)
    assert view.score == pytest.approx(float(view.level_scores[view.level][view.row, view.col]))
    assert view.rank == query + 1


def test_both_figures_draw_the_same(trace: Trace) -> None:
    view = query_selection.view(trace, 5)
    drawn = check_marks(query_selection, view)
    for level, name in enumerate(("S3", "S4", "S5")):
        np.testing.assert_array_equal(drawn["markers", f"chosen on {name}"], view.chosen[level][:, [2, 1]])
        np.testing.assert_allclose(drawn["bars", name][:, 1], view.share[level])
    curve = drawn["lines", "all cells"]
    np.testing.assert_allclose(10 ** curve[:, 1], view.sorted_scores, rtol=1e-5)
    np.testing.assert_allclose(10 ** drawn["lines", "cut"][:, 0], view.kept)
    x0, y0 = np.nanmin(drawn["lines", "first box"], axis=0)
    expected = (view.box[:2] - view.box[2:] / 2) * trace.image_size
    np.testing.assert_allclose([x0, y0], expected, rtol=1e-5)


def test_numbers_of_the_chain_are_written(trace: Trace) -> None:
    view = query_selection.view(trace, 5)
    words = plain("light", query_selection, view)
    for value in view.box:
        assert f"{value:.3f}" in words
    for value in view.offset:
        assert f"{value:+.2f}".replace("-", "−") in words
    assert f"cut-off {view.cutoff:.2g}" in words


def test_a_click_on_a_chosen_cell_tells_its_query(trace: Trace) -> None:
    view = query_selection.view(trace)
    points = plotly_trace(query_selection.plotly_figure(view, "light"), "chosen on S3")
    np.testing.assert_array_equal(points.customdata, view.chosen[0][:, 0])
    assert all(f"query {q} " in text for q, text in zip(points.customdata, points.hovertext, strict=True))


def test_a_cell_without_a_valid_anchor_has_no_offset(detector: Detector) -> None:
    """On maps more than fifty cells wide the outer ring of S3 lies too near the border to hold an anchor."""
    wide = detector.trace(np.full((64, 448, 3), 90, np.uint8), size=(64, 448))
    tokens = len(wide["query_selection.scores"].array)
    everything = detector.rerun(wide, [edits.set_queries(tokens)])
    valid = everything["query_selection.valid_mask"].array[everything.token_indices]
    query = int(np.flatnonzero(~valid)[0])
    view = query_selection.view(everything, query)
    assert np.isinf(view.anchor_logit).all()
    assert not np.isfinite(view.offset).any()
    np.testing.assert_array_equal(view.box, 1)
    assert view.kept == tokens
    assert plain("dark", query_selection, view).count("–") >= 8  # neither its logits nor its offset are numbers
    query_selection.matplotlib_figure(view, "dark")


def test_a_token_that_was_chosen_twice_counts_once(detector: Detector, trace: Trace) -> None:
    pairs = detector.rerun(trace, [edits.set_selection("one2many"), edits.set_queries(120)])
    view = query_selection.view(pairs)
    assert view.kept == len(set(pairs.token_indices.tolist())) < view.num_queries
    assert view.sorted_scores[view.kept - 1] == pytest.approx(view.cutoff)
    assert sum(view.share) == pytest.approx(1)
    query_selection.plotly_figure(view, "light")


@pytest.mark.parametrize("query", [-1, 20])
def test_a_query_that_does_not_exist_is_refused(trace: Trace, query: int) -> None:
    with pytest.raises(InputError, match=f"There is no query {query}; this trace has queries 0 to 19."):
        query_selection.view(trace, query)


def test_words_and_table(trace: Trace) -> None:
    view = query_selection.view(trace, 5)
    caption = query_selection.caption(view)
    assert f"The best 20 of {len(view.sorted_scores)} cells" in caption
    assert f"row {view.row}, column {view.col}" in caption
    assert caption in query_selection.alt_text(view)
    table = query_selection.table(view)
    assert table["query"] == list(range(20))
    assert (table["row"][5], table["column"][5]) == (view.row, view.col)
    assert table["score"] == sorted(table["score"], reverse=True)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-4, 0, [1e-4, 1e-3, 0.01, 0.1, 1]), (-2.3, -0.2, [0.01, 0.03, 0.1, 0.3]), (-1.6, -1.5, None)],
)
def test_ticks_are_round_numbers_or_the_ends(low: float, high: float, expected: list[float] | None) -> None:
    ticks = log_ticks(low, high)
    if expected is None:
        assert ticks == [low, high]
    else:
        np.testing.assert_allclose(10 ** np.array(ticks), expected)


def test_long_class_names_are_cut() -> None:
    assert short_name("bird") == "bird"
    assert short_name("baseball glove") == "baseball gl…"
