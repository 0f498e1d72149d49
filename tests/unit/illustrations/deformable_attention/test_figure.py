"""The figure of deformable attention: every point at its place, and the numbers that put it there."""

from typing import Any

import numpy as np
import pytest
from figure_checks import plotly_trace
from mark_checks import check_marks, plain

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.deformable_attention import view as deformable_attention
from rtdetr_explained.illustrations.deformable_attention.points import OFFSET_SCALE, chain_location
from rtdetr_explained.model import deformable_attention as model
from rtdetr_explained.tracing.trace import Trace

NUM_POINTS = (2, 4, 3)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_chain_ends_where_the_model_samples(trace: Trace, layer: int) -> None:
    locations = trace[f"decoder.layers.{layer}.cross_attn.sampling_locations"].array
    for query in range(20):
        for head in range(4):
            chain = deformable_attention.view(trace, query, layer, head).chain
            row = sum(NUM_POINTS[: chain.level]) + chain.point
            found = chain_location(chain)
            np.testing.assert_allclose(found, locations[query, head, row], atol=1e-6, rtol=0)
            np.testing.assert_array_equal(chain.location, locations[query, head, row])


def test_the_constant_is_the_one_of_the_model() -> None:
    assert OFFSET_SCALE == model.OFFSET_SCALE


def test_every_point_is_at_its_place_with_its_weight(trace: Trace) -> None:
    view = deformable_attention.view(trace, 3, layer=1)
    site = "decoder.layers.1.cross_attn"
    assert len(view.weights) == 4 * sum(NUM_POINTS)
    for i in range(len(view.weights)):
        at = 3, view.head[i], sum(NUM_POINTS[: view.level[i]]) + view.point[i]
        np.testing.assert_allclose(
            view.locations_px[i], trace[f"{site}.sampling_locations"].array[at] * trace.image_size
        )
        assert view.weights[i] == trace[f"{site}.weights"].array[at]
        np.testing.assert_array_equal(view.offsets[i], trace[f"{site}.offsets"].array[at])
    np.testing.assert_array_equal(view.box, trace["decoder.layers.1.reference_boxes"].array[3])


def test_bars_add_up_the_weights(trace: Trace) -> None:
    view = deformable_attention.view(trace, 3)
    np.testing.assert_allclose(view.weight_by_head.sum(1), 1, rtol=1e-5)
    for head in range(4):
        for level in range(3):
            chosen = (view.head == head) & (view.level == level)
            assert view.weight_by_head[head, level] == pytest.approx(view.weights[chosen].sum())
    assert view.weight_by_level.sum() == pytest.approx(1)
    np.testing.assert_allclose(view.weight_by_level, view.weight_by_head.mean(0), rtol=1e-5)


def test_one_head_shows_only_its_points(trace: Trace) -> None:
    view = deformable_attention.view(trace, 3, head=2)
    assert set(view.head.tolist()) == {2}
    assert len(view.weights) == sum(NUM_POINTS)
    np.testing.assert_allclose(view.weight_by_level, view.weight_by_head[2], rtol=1e-5)
    assert view.chain.head == 2
    assert view.chain.weight == view.weights.max()


def test_one_level_shows_only_its_points_and_any_of_them_can_be_written_out(trace: Trace) -> None:
    view = deformable_attention.view(trace, 3, head=2, level=1, point=23)
    assert len(view.weights) == 4
    assert (set(view.head), set(view.level), view.point.tolist()) == ({2}, {1}, [0, 1, 2, 3])
    assert view.weight_by_level.tolist() == [0, 1, 0]
    assert (view.chain.head, view.chain.level, view.chain.point) == (2, 1, 3)  # 23 = 2 × 9 + 2 + 3
    which = "The heaviest" if view.chain.weight == view.weights.max() else "One"
    assert f"{which} point in numbers: head 2, S4, point 3" in plain("light", deformable_attention, view)
    assert "4 points with head 2 on S4" in deformable_attention.caption(view)
    check_marks(deformable_attention, view)
    hidden = deformable_attention.view(trace, 3, head=2, level=1, point=30)  # of head 3
    assert hidden.heaviest
    assert (hidden.chain.head, hidden.chain.level, hidden.chain.weight) == (2, 1, hidden.weights.max())


@pytest.mark.parametrize("head", [None, 1])
def test_both_figures_draw_the_same(trace: Trace, head: int | None) -> None:
    view = deformable_attention.view(trace, 3, layer=1, head=head)
    drawn = check_marks(deformable_attention, view)
    for level, name in enumerate(("S3", "S4", "S5")):
        points = view.locations_px[view.level == level]
        shown = drawn["markers", name]
        np.testing.assert_allclose(shown[np.lexsort(shown.T)], points[np.lexsort(points.T)], rtol=1e-6)
        np.testing.assert_allclose(drawn["bars", name][:, 1], view.weight_by_level[level])
        np.testing.assert_allclose(drawn["bars", f"{name} by head"][:, 1], view.weight_by_head[:, level])


def test_area_follows_the_weight_and_hover_tells_the_numbers(trace: Trace) -> None:
    view = deformable_attention.view(trace, 3)
    points = plotly_trace(deformable_attention.plotly_figure(view, "light"), "S4")
    order = np.flatnonzero(view.level == 1)
    order = order[np.argsort(-view.weights[order], kind="stable")]
    large = points.marker.size > 2.6
    area = points.marker.size[large] ** 2 / view.weights[order][large]
    np.testing.assert_allclose(area, area[0], rtol=1e-4)
    i, text = order[0], points.hovertext[0]
    assert f"head {view.head[i]} · S4 · point {view.point[i]}" in text
    assert f"weight <b>{view.weights[i]:.3f}</b>" in text
    assert f"at {view.locations_px[i, 0]:.0f}, {view.locations_px[i, 1]:.0f} px" in text


def test_points_outside_the_photo_are_inside_the_figure(trace: Trace) -> None:
    queries = [q for q in range(20) if deformable_attention.view(trace, q).outside]
    assert queries  # random offsets reach beyond the photo somewhere
    for query in queries[:3]:
        view = deformable_attention.view(trace, query)
        figure: Any = deformable_attention.plotly_figure(view, "dark")
        (x0, x1), (y1, y0) = figure.layout.xaxis.range, figure.layout.yaxis.range
        x, y = view.locations_px.T
        assert x0 < x.min() < x.max() < x1
        assert y0 < y.min() < y.max() < y1
        frame = plotly_trace(figure, "frame of the photo")
        assert (np.nanmax(frame.x), np.nanmax(frame.y)) == trace.image_size


def test_numbers_of_the_chain_are_written(trace: Trace) -> None:
    view = deformable_attention.view(trace, 3)
    words = plain("light", deformable_attention, view).split(" | ")
    for value in (*view.chain.reference, *view.chain.location):
        assert f"{value:.3f}".replace("-", "−") in words
    for value in view.chain.offset:
        assert f"{value:+.2f}".replace("-", "−") in words
    assert f"× {1 / NUM_POINTS[view.chain.level]:.3f}" in words


def test_the_cell_is_where_bilinear_reading_looks(trace: Trace) -> None:
    chain = deformable_attention.view(trace, 3).chain
    h, w = chain.map_size
    np.testing.assert_allclose(chain.cell, chain.location * [w, h] - 0.5, atol=1e-5)


def test_discrete_sampling_reads_a_whole_cell(detector: Detector, trace: Trace) -> None:
    rounded = detector.rerun(trace, [edits.set_sampling("discrete")])
    for query in range(20):
        chain = deformable_attention.view(rounded, query).chain
        h, w = chain.map_size
        expected = (int(chain.location[0] * w + 0.5), int(chain.location[1] * h + 0.5))
        assert chain.cell.tolist() == np.clip(expected, 0, [w - 1, h - 1]).tolist()


def test_a_head_that_was_dropped_has_no_weight(detector: Detector, trace: Trace) -> None:
    dropped = [edits.drop_point(1, 3, 2, level, k) for level, n in enumerate(NUM_POINTS) for k in range(n)]
    view = deformable_attention.view(detector.rerun(trace, dropped), 3, layer=1, head=2)
    np.testing.assert_array_equal(view.weights, 0)
    np.testing.assert_array_equal(view.weight_by_level, 0)
    check_marks(deformable_attention, view)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"query": 99}, "There is no query 99; this trace has queries 0 to 19."),
        ({"layer": 3}, "There is no layer 3; choose one from 0 to 2."),
        ({"head": -1}, "There is no head -1; choose one from 0 to 3."),
        ({"level": 3}, "There is no level 3; choose one from 0 to 2."),
        ({"point": 36}, "There is no point 36; choose one from 0 to 35."),
    ],
)
def test_what_does_not_exist_is_refused(trace: Trace, selection: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        deformable_attention.view(trace, **selection)


def test_words_and_table(trace: Trace) -> None:
    view = deformable_attention.view(trace, 3, layer=0)
    caption = deformable_attention.caption(view)
    assert "Weight is not importance" in caption
    assert "In layer 1 query 3 reads 36 points with 4 heads" in caption
    assert caption in deformable_attention.alt_text(view)
    table = deformable_attention.table(view)
    assert table["weight"] == sorted(table["weight"], reverse=True)
    assert (table["head"][0], table["point"][0]) == (view.chain.head, view.chain.point)
    assert {len(column) for column in table.values()} == {36}
