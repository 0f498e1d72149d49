"""The figure of updates: how far each layer moves all boxes, and by how much it changes their size."""

from dataclasses import replace

import numpy as np
import pytest
from drawn import numbers

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.decoder import updates
from rtdetr_explained.illustrations.decoder.trajectory import moves_px, size_changes
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


def test_the_spread_is_taken_over_queries_layer_by_layer(trace: Trace) -> None:
    view = updates.view(choose(trace, query=0))
    middle = updates.spread(view)
    moved, factor = moves_px(choose(trace)), 2 ** np.abs(size_changes(choose(trace)))
    for layer in range(3):
        assert middle.moved_median_px[layer] == pytest.approx(np.median(moved[layer]))
        assert middle.moved_p95_px[layer] == pytest.approx(np.percentile(moved[layer], 95))
        # Between two middle values the median is taken of the logarithms.
        low, high = np.sort(factor[layer])[9:11]
        assert middle.factor_median[layer] == pytest.approx(np.sqrt(low * high))
        assert middle.factor_p95[layer] <= factor[layer].max()


def test_growing_and_shrinking_count_alike(trace: Trace) -> None:
    view = updates.view(choose(trace, query=0))
    change = np.tile(np.where(np.arange(20) % 2, 1.0, -1.0), (3, 1))
    middle = updates.spread(replace(view, size_change=change))
    np.testing.assert_allclose(middle.factor_median, 2)
    np.testing.assert_allclose(middle.factor_p95, 2)


def test_detections_are_those_above_the_threshold(trace: Trace) -> None:
    threshold = float(np.sort(trace.scores)[-6])
    view = updates.view(choose(trace, query=4, threshold=threshold))
    assert view.found.sum() == 5
    shown = view.found & (np.arange(20) != 4)
    drawing = updates.picture(view).drawing
    assert len(drawing.named("How far the centres move: detections").x) == 3 * shown.sum()
    over = updates.spread(view, view.found)
    np.testing.assert_allclose(over.moved_median_px, np.median(moves_px(choose(trace))[:, view.found], axis=1))


def test_the_drawing_has_every_query_and_marks_the_chosen_ones(trace: Trace) -> None:
    view = updates.view(choose(trace, query=4, compare=7))
    drawing = updates.picture(view).drawing
    middle = updates.spread(view)
    far = np.log10(np.maximum(view.moved_px, updates.LEAST_PX))
    for title, values, medians in (
        ("How far the centres move", far, np.log10(middle.moved_median_px)),
        ("How much their sizes change", view.size_change, np.median(view.size_change, axis=1)),
    ):
        np.testing.assert_allclose(drawing.named(f"{title}: selected").y, values[:, 4], rtol=1e-6)
        np.testing.assert_allclose(drawing.named(f"{title}: compared").y, values[:, 7], rtol=1e-6)
        rest = [drawing.named(f"{title}: {name}").y for name in ("other queries", "detections")]
        assert sum(map(len, rest)) == 3 * 18
        heights = np.sort(np.concatenate(rest))
        np.testing.assert_allclose(heights, np.sort(np.delete(values, [4, 7], axis=1).ravel()), rtol=1e-6)
        np.testing.assert_allclose(drawing.named(f"{title}: median").y[::3], medians, rtol=1e-6)
    p95 = drawing.named("How far the centres move: p95")
    np.testing.assert_allclose(p95.y[::3], np.log10(middle.moved_p95_px), rtol=1e-6)


def test_a_click_on_a_mark_tells_its_query(trace: Trace) -> None:
    view = updates.view(choose(trace, query=4, threshold=1.0))
    marks = updates.picture(view).drawing.named("How far the centres move: other queries")
    values = np.log10(np.maximum(view.moved_px, updates.LEAST_PX))
    np.testing.assert_allclose(marks.y, values[:, marks.ids[:19]].ravel(), rtol=1e-6)
    assert set(marks.ids) == set(range(20)) - {4}
    assert marks.hover[0].startswith(f"{marks.ids[0]} · ")


def test_boxes_that_stay_where_they_are_are_drawn_at_the_lower_end(trace: Trace) -> None:
    view = updates.view(choose(trace, query=0))
    view = replace(view, moved_px=np.zeros_like(view.moved_px), size_change=np.zeros_like(view.size_change))
    drawing = updates.picture(view).drawing
    assert (drawing.named("How far the centres move: selected").y == np.float32(-2)).all()
    assert "0.00, 0.00, 0.00 px" in updates.caption(view)


def test_one_layer_and_one_query_are_enough(detector: Detector, trace: Trace) -> None:
    alone = updates.view(choose(detector.rerun(trace, [edits.set_queries(1), edits.set_layers(1)])))
    assert len(updates.picture(alone).drawing.named("How much their sizes change: selected").x) == 1


@pytest.mark.parametrize(("change", "words"), [(1.0, "×2.00"), (-1.0, "÷2.00"), (0.0, "×1.00"), (-0.001, "×1.00")])
def test_factors_in_words(change: float, words: str) -> None:
    assert updates.signed_factor(change) == words


def test_words_and_tables(trace: Trace) -> None:
    view = updates.view(choose(trace, query=4, compare=7, threshold=0.3))
    boxes = np.stack([trace["decoder.layers.0.reference_boxes"].array, *(
        trace[f"decoder.layers.{layer}.boxes"].array for layer in range(3)
    )]).astype(float)  # fmt: skip
    moved = np.hypot(*(np.diff(boxes[..., :2], axis=0) * [150, 100]).transpose(2, 0, 1))  # L Q, px
    log_size = np.log2(boxes[..., 2] * boxes[..., 3]) / 2
    factor = 2 ** np.median(np.abs(np.diff(log_size, axis=0)), axis=1)
    medians, most = np.median(moved, axis=1), np.percentile(moved, 95, axis=1)
    picture = updates.picture(view)
    expected = ["20", *map(updates.distance, medians), "95%", *map(updates.distance, most)]
    assert numbers(picture.caption) == [*expected, *(f"{value:.2f}" for value in factor), "0.30", "4", "7"]
    assert picture.caption in picture.alt_text
    table = picture.table
    assert table["over"][::3] == ["all queries", "detections above 0.30", "query 4"]
    assert table["layer"] == [1, 2, 3] * 3
    np.testing.assert_allclose(table["centre moved, median px"][-3:], moved[:, 4], atol=0.006)
    np.testing.assert_allclose(table["centre moved, p95 px"][:3], most, atol=0.006)
    np.testing.assert_allclose(table["size change either way, median"][:3], factor, atol=6e-4)
    assert len({len(column) for column in table.values()}) == 1
    short = updates.summary(view)
    assert short["Layer"] == ["1", "2", "3"]
    assert short["Query 7 (px)"] == list(map(updates.distance, moved[:, 7]))
    assert short["Centre (px)"] == list(map(updates.distance, medians))
    without = updates.table(updates.view(choose(trace, query=0, threshold=1.0)))
    assert without["over"][::3] == ["all queries", "query 0"]
