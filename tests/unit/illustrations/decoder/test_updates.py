"""The figure of updates: how far each layer moves all boxes, and by how much it changes their size."""

from dataclasses import replace

import numpy as np
import pytest
from figure_checks import plotly_trace
from mark_checks import check_marks

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.decoder import updates
from rtdetr_explained.illustrations.decoder.trajectory import moves_px, size_changes
from rtdetr_explained.tracing.trace import Trace


def test_the_spread_is_taken_over_queries_layer_by_layer(trace: Trace) -> None:
    view = updates.view(trace)
    numbers = updates.spread(view)
    moved, factor = moves_px(trace), 2 ** np.abs(size_changes(trace))
    for layer in range(3):
        assert numbers.moved_median_px[layer] == pytest.approx(np.median(moved[layer]))
        assert numbers.moved_p95_px[layer] == pytest.approx(np.percentile(moved[layer], 95))
        # Between two middle values the median is taken of the logarithms.
        low, high = np.sort(factor[layer])[9:11]
        assert numbers.factor_median[layer] == pytest.approx(np.sqrt(low * high))
        assert numbers.factor_p95[layer] <= factor[layer].max()


def test_growing_and_shrinking_count_alike(trace: Trace) -> None:
    view = updates.view(trace)
    change = np.tile(np.where(np.arange(20) % 2, 1.0, -1.0), (3, 1))
    numbers = updates.spread(replace(view, size_change=change))
    np.testing.assert_allclose(numbers.factor_median, 2)
    np.testing.assert_allclose(numbers.factor_p95, 2)


def test_detections_are_those_above_the_threshold(trace: Trace) -> None:
    threshold = float(np.sort(trace.scores)[-6])
    view = updates.view(trace, query=4, threshold=threshold)
    assert view.found.sum() == 5
    shown = view.found & (np.arange(20) != 4)
    drawn = check_marks(updates, view)
    assert len(drawn["markers", "How far the centres move: detections"]) == 3 * shown.sum()
    over = updates.spread(view, view.found)
    np.testing.assert_allclose(over.moved_median_px, np.median(moves_px(trace)[:, view.found], axis=1))


def test_both_figures_draw_every_query_and_mark_the_chosen_ones(trace: Trace) -> None:
    view = updates.view(trace, query=4, compare=7)
    drawn = check_marks(updates, view)
    numbers = updates.spread(view)
    far = np.log10(np.maximum(view.moved_px, updates.LEAST_PX))
    for title, values, middle in (
        ("How far the centres move", far, np.log10(numbers.moved_median_px)),
        ("How much their sizes change", view.size_change, np.median(view.size_change, axis=1)),
    ):
        np.testing.assert_allclose(drawn["markers", f"{title}: selected"][:, 1], values[:, 4], rtol=1e-6)
        np.testing.assert_allclose(drawn["markers", f"{title}: compared"][:, 1], values[:, 7], rtol=1e-6)
        rest = [drawn["markers", f"{title}: {name}"] for name in ("other queries", "detections")]
        assert sum(map(len, rest)) == 3 * 18
        heights = np.sort(np.concatenate(rest)[:, 1])
        np.testing.assert_allclose(heights, np.sort(np.delete(values, [4, 7], axis=1).ravel()), rtol=1e-6)
        np.testing.assert_allclose(drawn["lines", f"{title}: median"][::3, 1], middle, rtol=1e-6)
    p95 = drawn["lines", "How far the centres move: p95"]
    np.testing.assert_allclose(p95[::3, 1], np.log10(numbers.moved_p95_px), rtol=1e-6)


def test_a_click_on_a_mark_tells_its_query(trace: Trace) -> None:
    view = updates.view(trace, query=4, threshold=1.0)
    marks = plotly_trace(updates.plotly_figure(view, "light"), "How far the centres move: other queries")
    values = np.log10(np.maximum(view.moved_px, updates.LEAST_PX))
    np.testing.assert_allclose(marks.y, values[:, marks.customdata[:19]].ravel(), rtol=1e-6)
    assert set(marks.customdata) == set(range(20)) - {4}
    assert marks.hovertext[0].startswith(f"{marks.customdata[0]} · ")


def test_boxes_that_stay_where_they_are_are_drawn_at_the_lower_end(trace: Trace) -> None:
    view = updates.view(trace)
    view = replace(view, moved_px=np.zeros_like(view.moved_px), size_change=np.zeros_like(view.size_change))
    drawn = check_marks(updates, view)
    assert (drawn["markers", "How far the centres move: selected"][:, 1] == np.float32(-2)).all()
    assert "0.00, 0.00, 0.00 px" in updates.caption(view)


def test_one_layer_and_one_query_are_enough(detector: Detector, trace: Trace) -> None:
    alone = updates.view(detector.rerun(trace, [edits.set_queries(1), edits.set_layers(1)]))
    check_marks(updates, alone)
    assert "the median of all 1 queries" in updates.caption(alone)


@pytest.mark.parametrize("chosen", [{"query": 20}, {"compare": 20}, {"query": -1}])
def test_a_query_that_does_not_exist_is_refused(trace: Trace, chosen: dict) -> None:
    with pytest.raises(InputError, match="There is no query"):
        updates.view(trace, **chosen)


@pytest.mark.parametrize(("change", "words"), [(1.0, "×2.00"), (-1.0, "÷2.00"), (0.0, "×1.00"), (-0.001, "×1.00")])
def test_factors_in_words(change: float, words: str) -> None:
    assert updates.signed_factor(change) == words


def test_words_and_tables(trace: Trace) -> None:
    view = updates.view(trace, query=4, compare=7, threshold=0.3)
    numbers = updates.spread(view)
    caption = updates.caption(view)
    assert ", ".join(map(updates.distance, numbers.moved_median_px)) in caption
    assert "query 4" in caption
    assert "query 7" in caption
    assert caption in updates.alt_text(view)
    table = updates.table(view)
    assert table["over"][::3] == ["all queries", "detections above 0.30", "query 4"]
    np.testing.assert_allclose(table["centre moved, median px"][-3:], view.moved_px[:, 4], atol=0.006)
    np.testing.assert_allclose(table["size change either way, p95"][:3], numbers.factor_p95, atol=6e-4)
    assert len({len(column) for column in table.values()}) == 1
    short = updates.summary(view)
    assert short["Query 7 (px)"] == list(map(updates.distance, view.moved_px[:, 7]))
    assert len({len(column) for column in short.values()}) == 1
    without = updates.table(updates.view(trace, threshold=1.0))
    assert without["over"][::3] == ["all queries", "query 0"]
