"""The figure of query selection: scores by level, the cut, and the way from a cell to its first box."""

import numpy as np
import pytest
from drawn import words

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.marks import Text
from rtdetr_explained.drawing.text import short_name
from rtdetr_explained.illustrations.query_selection import figure
from rtdetr_explained.illustrations.query_selection.tokens import log_ticks
from rtdetr_explained.illustrations.query_selection.view import view
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid


def test_maps_hold_the_probability_of_every_token(trace: Trace) -> None:
    numbers = view(choose(trace, query=0))
    drawn = np.concatenate([scores.ravel() for scores in numbers.level_scores])
    np.testing.assert_array_equal(drawn, sigmoid(trace["query_selection.class_logits"].array).max(1))
    assert [scores.shape for scores in numbers.level_scores] == trace.map_sizes


def test_chosen_cells_are_the_chosen_tokens(trace: Trace) -> None:
    numbers = view(choose(trace, query=0))
    starts = np.cumsum([0, *(h * w for h, w in trace.map_sizes)])
    tokens = np.full(len(trace.token_indices), -1)
    for start, cells, (_, w) in zip(starts[:-1], numbers.chosen, trace.map_sizes, strict=True):
        tokens[cells[:, 0]] = start + cells[:, 1] * w + cells[:, 2]
    np.testing.assert_array_equal(tokens, trace.token_indices)


def test_the_cut_is_the_score_of_the_last_chosen_cell(trace: Trace) -> None:
    numbers = view(choose(trace, query=0))
    scores = sigmoid(trace["query_selection.scores"].array)
    assert numbers.cutoff == pytest.approx(float(np.sort(scores)[-numbers.kept]))
    assert numbers.sorted_scores[numbers.kept - 1] == pytest.approx(numbers.cutoff)
    assert numbers.kept == numbers.num_queries == 20
    assert (np.diff(numbers.sorted_scores) <= 0).all()
    counts = [len(cells) for cells in numbers.chosen]
    assert numbers.share == tuple(count / 20 for count in counts)


@pytest.mark.parametrize("query", [0, 7, 19])
def test_the_offset_leads_from_the_anchor_to_the_first_box(trace: Trace, query: int) -> None:
    numbers = view(choose(trace, query=query))
    np.testing.assert_array_equal(numbers.box, trace["query_selection.reference_boxes"].array[query])
    np.testing.assert_allclose(sigmoid(numbers.anchor_logit), numbers.anchor)
    np.testing.assert_allclose(sigmoid(numbers.anchor_logit + numbers.offset), numbers.box, atol=1e-6)
    h, w = trace.map_sizes[numbers.level]
    np.testing.assert_allclose(numbers.anchor[:2], [(numbers.col + 0.5) / w, (numbers.row + 0.5) / h], atol=1e-6)
    assert numbers.score == pytest.approx(float(numbers.level_scores[numbers.level][numbers.row, numbers.col]))
    assert numbers.rank == query + 1


def test_the_drawing_shows_the_numbers_of_the_view(trace: Trace) -> None:
    numbers = view(choose(trace, query=5))
    drawing = figure.picture(numbers).drawing
    for level, name in enumerate(("S3", "S4", "S5")):
        points = drawing.named(f"chosen on {name}")
        np.testing.assert_array_equal(points.ids, numbers.chosen[level][:, 0])  # what a click on one selects
        np.testing.assert_array_equal(np.stack([points.y, points.x], 1), numbers.chosen[level][:, 1:])
        assert all(f"query {q} " in text for q, text in zip(points.ids, points.hover, strict=True))
        np.testing.assert_allclose(drawing.named(name).width, numbers.share[level])
    np.testing.assert_allclose(10 ** drawing.named("all cells").y, numbers.sorted_scores, rtol=1e-5)
    np.testing.assert_allclose(10 ** drawing.named("cut").x, numbers.kept)
    box = drawing.named("first box")
    expected = (numbers.box[:2] - numbers.box[2:] / 2) * trace.image_size
    np.testing.assert_allclose([np.nanmin(box.x), np.nanmin(box.y)], expected, rtol=1e-5)


def test_numbers_of_the_chain_are_written(trace: Trace) -> None:
    numbers = view(choose(trace, query=5))
    written = words(figure.picture(numbers).drawing)
    for value in numbers.box:
        assert f"{value:.3f}" in written
    for value in numbers.offset:
        assert f"{value:+.2f}".replace("-", "−") in written


def test_a_cell_without_a_valid_anchor_has_no_offset(detector: Detector) -> None:
    """On maps more than fifty cells wide the outer ring of S3 lies too near the border to hold an anchor."""
    wide = detector.trace(np.full((64, 448, 3), 90, np.uint8), size=(64, 448))
    tokens = len(wide["query_selection.scores"].array)
    everything = detector.rerun(wide, [edits.set_queries(tokens)])
    valid = everything["query_selection.valid_mask"].array[everything.token_indices]
    query = int(np.flatnonzero(~valid)[0])
    numbers = view(choose(everything, query=query))
    assert np.isinf(numbers.anchor_logit).all()
    assert not np.isfinite(numbers.offset).any()
    np.testing.assert_array_equal(numbers.box, 1)
    assert numbers.kept == tokens
    dashes = [text for text in figure.picture(numbers).drawing.of(Text) if text.text == "–"]
    assert len(dashes) == 4 + 4 + 4  # neither its logits, its offset nor the logits of its box are numbers


def test_a_token_that_was_chosen_twice_counts_once(detector: Detector, trace: Trace) -> None:
    pairs = detector.rerun(trace, [edits.set_selection("one2many"), edits.set_queries(120)])
    numbers = view(choose(pairs, query=0))
    assert numbers.kept == len(set(pairs.token_indices.tolist())) < numbers.num_queries
    assert numbers.sorted_scores[numbers.kept - 1] == pytest.approx(numbers.cutoff)
    assert sum(numbers.share) == pytest.approx(1)


def test_words_and_table(trace: Trace) -> None:
    numbers = view(choose(trace, query=5))
    picture = figure.picture(numbers)
    caption = picture.caption
    assert f"The best 20 of {len(numbers.sorted_scores)} cells" in caption
    assert f"row {numbers.row}, column {numbers.col}" in caption
    assert caption in picture.alt_text
    table = picture.table
    assert table["query"] == list(range(20))
    assert (table["row"][5], table["column"][5]) == (numbers.row, numbers.col)
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
