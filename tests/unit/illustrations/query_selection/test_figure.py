"""The figure of query selection: scores by level, the cut, and the way from a cell to its first box."""

import numpy as np
import pytest
from drawn import numbers, words

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.marks import Text
from rtdetr_explained.drawing.text import short_name
from rtdetr_explained.illustrations.query_selection import figure
from rtdetr_explained.illustrations.query_selection.tokens import log_ticks
from rtdetr_explained.illustrations.query_selection.view import view
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid, token_place


def test_maps_hold_the_probability_of_every_token(trace: Trace) -> None:
    shown = view(choose(trace, query=0))
    drawn = np.concatenate([scores.ravel() for scores in shown.level_scores])
    np.testing.assert_array_equal(drawn, sigmoid(trace["query_selection.class_logits"].array).max(1))
    assert [scores.shape for scores in shown.level_scores] == trace.map_sizes


def test_chosen_cells_are_the_chosen_tokens(trace: Trace) -> None:
    shown = view(choose(trace, query=0))
    starts = np.cumsum([0, *(h * w for h, w in trace.map_sizes)])
    tokens = np.full(len(trace.token_indices), -1)
    for start, cells, (_, w) in zip(starts[:-1], shown.chosen, trace.map_sizes, strict=True):
        tokens[cells[:, 0]] = start + cells[:, 1] * w + cells[:, 2]
    np.testing.assert_array_equal(tokens, trace.token_indices)


def test_the_cut_is_the_score_of_the_last_chosen_cell(trace: Trace) -> None:
    shown = view(choose(trace, query=0))
    scores = sigmoid(trace["query_selection.scores"].array)
    assert shown.cutoff == pytest.approx(float(np.sort(scores)[-shown.kept]))
    assert shown.sorted_scores[shown.kept - 1] == pytest.approx(shown.cutoff)
    assert shown.kept == shown.num_queries == 20
    assert (np.diff(shown.sorted_scores) <= 0).all()
    counts = [len(cells) for cells in shown.chosen]
    assert shown.share == tuple(count / 20 for count in counts)


@pytest.mark.parametrize("query", [0, 7, 19])
def test_the_offset_leads_from_the_anchor_to_the_first_box(trace: Trace, query: int) -> None:
    shown = view(choose(trace, query=query))
    np.testing.assert_array_equal(shown.box, trace["query_selection.reference_boxes"].array[query])
    np.testing.assert_allclose(sigmoid(shown.anchor_logit), shown.anchor)
    np.testing.assert_allclose(sigmoid(shown.anchor_logit + shown.offset), shown.box, atol=1e-6)
    h, w = trace.map_sizes[shown.level]
    np.testing.assert_allclose(shown.anchor[:2], [(shown.col + 0.5) / w, (shown.row + 0.5) / h], atol=1e-6)
    assert shown.score == pytest.approx(float(shown.level_scores[shown.level][shown.row, shown.col]))
    assert shown.rank == query + 1


def test_the_drawing_shows_the_numbers_of_the_view(trace: Trace) -> None:
    shown = view(choose(trace, query=5))
    drawing = figure.picture(shown).drawing
    for level, name in enumerate(("S3", "S4", "S5")):
        points = drawing.named(f"chosen on {name}")
        np.testing.assert_array_equal(points.ids, shown.chosen[level][:, 0])  # what a click on one selects
        np.testing.assert_array_equal(np.stack([points.y, points.x], 1), shown.chosen[level][:, 1:])
        assert all(f"query {q} " in text for q, text in zip(points.ids, points.hover, strict=True))
        np.testing.assert_allclose(drawing.named(name).width, shown.share[level])
    np.testing.assert_allclose(10 ** drawing.named("all cells").y, shown.sorted_scores, rtol=1e-5)
    np.testing.assert_allclose(10 ** drawing.named("cut").x, shown.kept)
    box = drawing.named("first box")
    expected = (shown.box[:2] - shown.box[2:] / 2) * trace.image_size
    np.testing.assert_allclose([np.nanmin(box.x), np.nanmin(box.y)], expected, rtol=1e-5)


def test_numbers_of_the_chain_are_written(trace: Trace) -> None:
    shown = view(choose(trace, query=5))
    written = words(figure.picture(shown).drawing)
    for value in shown.box:
        assert f"{value:.3f}" in written
    for value in shown.offset:
        assert f"{value:+.2f}".replace("-", "−") in written


def test_a_cell_without_a_valid_anchor_has_no_offset(detector: Detector) -> None:
    """On maps more than fifty cells wide the outer ring of S3 lies too near the border to hold an anchor."""
    wide = detector.trace(np.full((64, 448, 3), 90, np.uint8), size=(64, 448))
    tokens = len(wide["query_selection.scores"].array)
    everything = detector.rerun(wide, [edits.set_queries(tokens)])
    valid = everything["query_selection.valid_mask"].array[everything.token_indices]
    query = int(np.flatnonzero(~valid)[0])
    shown = view(choose(everything, query=query))
    assert np.isinf(shown.anchor_logit).all()
    assert not np.isfinite(shown.offset).any()
    np.testing.assert_array_equal(shown.box, 1)
    assert shown.kept == tokens
    dashes = [text for text in figure.picture(shown).drawing.of(Text) if text.text == "–"]
    assert len(dashes) == 4 + 4 + 4  # neither its logits, its offset nor the logits of its box are shown


def test_a_token_that_was_chosen_twice_counts_once(detector: Detector, trace: Trace) -> None:
    pairs = detector.rerun(trace, [edits.set_selection("one2many"), edits.set_queries(120)])
    shown = view(choose(pairs, query=0))
    assert shown.kept == len(set(pairs.token_indices.tolist())) < shown.num_queries
    assert shown.sorted_scores[shown.kept - 1] == pytest.approx(shown.cutoff)
    assert sum(shown.share) == pytest.approx(1)


@pytest.mark.parametrize("query", [5, 17])
def test_the_words_tell_the_traces_numbers(trace: Trace, query: int) -> None:
    scores, labels = (f(sigmoid(trace["query_selection.class_logits"].array), 1) for f in (np.max, np.argmax))
    tokens = trace.token_indices
    level, row, column = token_place(int(tokens[query]), trace.map_sizes)
    counts = [sum(token_place(int(token), trace.map_sizes)[0] == i for token in tokens) for i in range(3)]
    picture = figure.picture(view(choose(trace, query=query)))
    assert numbers(picture.caption) == [
        "20", f"{len(scores):,}", f"{scores[tokens].min():.2g}", *(f"{count / 20:.0%}" for count in counts),
        str(query), str(row), str(column), f"{scores[tokens[query]]:.2f}",
    ]  # fmt: skip
    assert f"“{trace.class_names[labels[tokens[query]]]}”" in picture.caption
    assert picture.caption in picture.alt_text
    for panel, count, (h, w) in zip(picture.drawing.panels, counts, trace.map_sizes, strict=False):
        assert numbers(panel.title) == [str(h), str(w)]
        assert numbers(panel.subtitle) == [str(count), str(h * w), f"{count / 20:.0%}"]
    on_photo = next(panel for panel in picture.drawing.panels if panel.title.startswith("Query"))
    assert numbers(on_photo.title) == [str(query), f"{scores[tokens[query]]:.2f}"]
    assert numbers(on_photo.subtitle) == [str(row), str(column)]
    assert on_photo.subtitle.endswith(("S3", "S4", "S5")[level])
    table = picture.table
    assert table["query"] == list(range(20))
    assert (table["level"][query], table["row"][query], table["column"][query]) == (f"S{level + 3}", row, column)
    assert table["score"] == sorted(table["score"], reverse=True)


def test_boxes_are_written_as_x_y_width_height(trace: Trace) -> None:
    """The photo is 150 px wide and 100 px high."""
    shown = view(choose(trace, query=5))
    drawing = figure.picture(shown).drawing
    for name, box in (("first box", trace["query_selection.reference_boxes"].array[5]), ("anchor", shown.anchor)):
        told = dict(part.split(" ") for part in drawing.named(name).hover[0].split(": ")[1].split(", "))
        expected = {"cx": box[0] * 150, "cy": box[1] * 100, "w": box[2] * 150, "h": box[3] * 100}
        assert told.keys() == expected.keys()
        for axis, value in expected.items():
            assert float(told[axis].replace("−", "-")) == pytest.approx(value, abs=0.51)


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
