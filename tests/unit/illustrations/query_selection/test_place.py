"""A place in the photo, asked: the report against the trace, and its sentences."""

from dataclasses import replace

import numpy as np
import pytest
from drawn import numbers

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.query_selection.place import (
    PlaceReport,
    answer,
    around,
    place_report,
    queries_table,
    with_other_cut,
)
from rtdetr_explained.illustrations.query_selection.tokens import ordinal, tokens
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid


def empty_place(trace: Trace) -> PlaceReport:
    """The report of a place without any query."""
    for x in np.linspace(0.05, 0.95, 15):
        for y in np.linspace(0.05, 0.95, 15):
            report = place_report(choose(trace), float(x), float(y))
            if not report.queries:
                return report
    raise AssertionError("queries stand everywhere")


@pytest.mark.parametrize("query", [0, 7, 19])
def test_the_cell_of_a_query_tells_it(trace: Trace, query: int) -> None:
    origin = trace.query(query)
    x, y = tokens(trace).centre(origin.token)
    report = place_report(choose(trace), float(x), float(y))
    cell = report.cells[origin.level]
    assert (cell.row, cell.col, cell.token) == (origin.row, origin.col, origin.token)
    assert cell.queries == (query,)
    assert query in report.queries
    assert cell.rank == query + 1
    assert cell.valid
    np.testing.assert_allclose(cell.anchor, origin.anchor)
    assert cell.score == sigmoid(trace["query_selection.scores"].array)[origin.token]
    assert report.nearest.away == pytest.approx(0, abs=1e-3)
    assert report.place_px == (pytest.approx(150 * x), pytest.approx(100 * y))
    assert "here, from" in answer(report)
    assert "nearest" not in around(report)


def test_a_place_without_a_query_says_why(trace: Trace) -> None:
    report = empty_place(trace)
    best = report.best
    assert best.rank == min(cell.rank for cell in report.cells) > report.kept == 20
    assert best.score < report.cutoff
    text = answer(report)
    assert text.startswith(f"No query stands here: the best of the three cells ({best.where}) ranks ")
    assert f"of {report.total:,} with " in text
    assert f"for “{best.class_name}”" in text
    assert "the cut-off is " in text
    centres = tokens(trace).centre(trace.token_indices)
    distances = np.linalg.norm((centres - report.place) * trace.image_size, axis=1)
    assert report.nearest.query == distances.argmin()
    assert report.nearest.away == pytest.approx(distances.min())
    assert f"The nearest is query {report.nearest.query} " in around(report)
    assert f"{distances.min():.0f} px away" in around(report)
    for covers in (True, False):
        told = around(replace(report, nearest=replace(report.nearest, covers=covers)))
        assert ("its final box holds this place" in told) == covers


def test_the_answer_tells_rank_score_and_cut(trace: Trace) -> None:
    report = empty_place(trace)
    scores = sigmoid(trace["query_selection.class_logits"].array).max(1)
    x, y = report.place
    starts = np.cumsum([0, *(h * w for h, w in trace.map_sizes)])
    cells = [(int(y * h), int(x * w)) for h, w in trace.map_sizes]
    under = [start + row * w + col for start, (row, col), (_, w) in zip(starts, cells, trace.map_sizes, strict=False)]
    best = max(range(3), key=lambda level: scores[under[level]])
    told = numbers(answer(report))
    rank = 1 + int((scores > scores[under[best]]).sum())
    assert told[:2] == [str(cells[best][0]), str(cells[best][1])]
    assert f"ranks {ordinal(rank)} of" in answer(report)
    assert float(told[-2]) == pytest.approx(scores[under[best]], rel=0.06)
    assert float(told[-1]) == pytest.approx(scores[trace.token_indices].min(), rel=0.06)


def test_lengths_follow_the_unit(trace: Trace) -> None:
    px = empty_place(trace)
    image = place_report(choose(trace, unit="image"), *px.place)
    centres = tokens(trace).centre(trace.token_indices[[image.nearest.query]])
    assert image.nearest.query == px.nearest.query
    assert image.nearest.away == pytest.approx(np.linalg.norm(centres - image.place))
    assert f"{image.nearest.away:.3f} of the image away" in around(image)
    assert queries_table(image)["away"][0] == image.nearest.away


def test_queries_whose_final_box_holds_the_place(trace: Trace) -> None:
    x, y = trace.boxes[4, :2].clip(0, 1)
    report = place_report(choose(trace), float(x), float(y))
    corners = np.concatenate(
        [trace.boxes[:, :2] - trace.boxes[:, 2:] / 2, trace.boxes[:, :2] + trace.boxes[:, 2:] / 2], 1
    )
    holding = [q for q, (x0, y0, x1, y1) in enumerate(corners) if x0 <= x <= x1 and y0 <= y <= y1]
    assert report.num_covering == len(holding) >= 1
    expected = sorted(holding, key=lambda q: -trace.scores[q])[:3]
    assert [row.query for row in report.covering] == expected
    assert all(row.covers for row in report.covering)
    assert f"query {expected[0]}, “" in around(report)
    listed = queries_table(report)["query"]
    assert listed[0] == report.nearest.query
    assert set(expected) <= set(listed)
    assert len(listed) == len(set(listed))


def test_one_two_or_no_final_boxes_are_put_into_words(trace: Trace) -> None:
    report = place_report(choose(trace), 0.5, 0.5)
    one = replace(report.nearest, covers=True)
    assert "No final box holds" in around(replace(report, covering=(), num_covering=0))
    assert "One final box holds this place; it is that of query" in around(
        replace(report, covering=(one,), num_covering=1)
    )
    two = around(replace(report, covering=(one, one), num_covering=2))
    assert "The final boxes of 2 queries hold" in two
    assert "listed" not in two
    seven = around(replace(report, covering=(one, one, one), num_covering=7))
    assert "The final boxes of 7 queries hold" in seven
    assert seven.endswith("The best 3 of the 7 are listed.")


def test_a_cell_of_several_queries_names_them(detector: Detector, trace: Trace) -> None:
    pairs = detector.rerun(trace, [edits.set_selection("one2many"), edits.set_queries(120)])
    every = tokens(pairs)
    token = int(every.times.argmax())
    report = place_report(choose(pairs), *every.centre(token).tolist())
    cell = report.cells[every.levels[token]]
    np.testing.assert_array_equal(cell.queries, np.flatnonzero(pairs.token_indices == token))
    assert len(cell.queries) > 1
    assert answer(report).startswith("Queries ")
    assert " stand here" in answer(report)


def test_a_cell_too_close_to_the_border_is_explained(detector: Detector) -> None:
    wide = detector.trace(np.full((64, 448, 3), 90, np.uint8), size=(64, 448))
    report = place_report(choose(wide), 0.0, 0.5)
    assert [cell.valid for cell in report.cells] == [False, True, True]
    assert report.cells[0].anchor == (1, 1, 1, 1)
    assert "The cell of S3 lies too close to the border for a valid anchor" in answer(report)


def test_the_cut_of_a_rerun_is_compared(trace: Trace) -> None:
    report = place_report(choose(trace), *tokens(trace).centre(trace.query(9).token).tolist())
    rank = report.best.rank
    assert "still makes it" in with_other_cut(report, 20, 0.1)
    assert "no longer makes it" in with_other_cut(report, rank - 1, 0.1)
    report = empty_place(trace)
    assert "still does not make it" in with_other_cut(report, 20, 0.1)
    assert "now makes it" in with_other_cut(report, report.best.rank, 0.1)


@pytest.mark.parametrize(("x", "y"), [(1.2, 0.5), (0.5, -1)])
def test_a_place_outside_is_refused(trace: Trace, x: float, y: float) -> None:
    with pytest.raises(InputError, match="not on the image"):
        place_report(choose(trace), x, y)


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_corners_belong_to_the_image(trace: Trace, corner: tuple[float, float]) -> None:
    report = place_report(choose(trace), *corner)
    for cell, (h, w) in zip(report.cells, trace.map_sizes, strict=True):
        assert (cell.row, cell.col) == (corner[1] * (h - 1), corner[0] * (w - 1))
