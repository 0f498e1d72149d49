"""The figure of deformable attention: every point at its place, and the numbers that put it there."""

from typing import Any

import numpy as np
import pytest
from drawn import words

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.marks import Drawing
from rtdetr_explained.illustrations.deformable_attention.figure import picture
from rtdetr_explained.illustrations.deformable_attention.points import shift
from rtdetr_explained.illustrations.deformable_attention.view import DeformableAttentionView, view
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace

NUM_POINTS = (2, 4, 3)


def viewed(trace: Trace, query: int = 3, **selected: Any) -> DeformableAttentionView:
    return view(choose(trace, query=query, **selected))


def drawn(view: DeformableAttentionView) -> Drawing:
    return picture(view).drawing


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_chain_ends_where_the_model_samples(trace: Trace, layer: int) -> None:
    locations = trace[f"decoder.layers.{layer}.cross_attn.sampling_locations"].array
    for query in range(20):
        for head in range(4):
            chain = viewed(trace, query, layer=layer, head=head).chain
            row = sum(NUM_POINTS[: chain.level]) + chain.point
            np.testing.assert_allclose(chain.reference + shift(chain), locations[query, head, row], atol=1e-6, rtol=0)
            np.testing.assert_array_equal(chain.location, locations[query, head, row])


def test_every_point_is_at_its_place_with_its_weight(trace: Trace) -> None:
    view = viewed(trace, layer=1)
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
    view = viewed(trace)
    np.testing.assert_allclose(view.weight_by_head.sum(1), 1, rtol=1e-5)
    for head in range(4):
        for level in range(3):
            chosen = (view.head == head) & (view.level == level)
            assert view.weight_by_head[head, level] == pytest.approx(view.weights[chosen].sum())
    assert view.weight_by_level.sum() == pytest.approx(1)
    np.testing.assert_allclose(view.weight_by_level, view.weight_by_head.mean(0), rtol=1e-5)


def test_one_head_shows_only_its_points(trace: Trace) -> None:
    view = viewed(trace, head=2)
    assert set(view.head.tolist()) == {2}
    assert len(view.weights) == sum(NUM_POINTS)
    np.testing.assert_allclose(view.weight_by_level, view.weight_by_head[2], rtol=1e-5)
    assert view.chain.head == 2
    assert view.chain.weight == view.weights.max()


def test_one_level_shows_only_its_points_and_any_of_them_can_be_written_out(trace: Trace) -> None:
    view = viewed(trace, head=2, level=1, point=23)
    assert len(view.weights) == 4
    assert (set(view.head), set(view.level), view.point.tolist()) == ({2}, {1}, [0, 1, 2, 3])
    assert view.weight_by_level.tolist() == [0, 1, 0]
    assert (view.chain.head, view.chain.level, view.chain.point) == (2, 1, 3)  # 23 = 2 × 9 + 2 + 3
    which = "The heaviest" if view.chain.weight == view.weights.max() else "One"
    assert f"{which} point in numbers: head 2, S4, point 3" in words(drawn(view))
    assert "4 points with head 2 on S4" in picture(view).caption
    hidden = viewed(trace, head=2, level=1, point=30)  # of head 3
    assert hidden.heaviest
    assert (hidden.chain.head, hidden.chain.level, hidden.chain.weight) == (2, 1, hidden.weights.max())


@pytest.mark.parametrize("head", [None, 1])
def test_points_and_bars_are_drawn_as_they_are(trace: Trace, head: int | None) -> None:
    view = viewed(trace, layer=1, head=head)
    drawing = drawn(view)
    for level, name in enumerate(("S3", "S4", "S5")):
        points = view.locations_px[view.level == level]
        shown = np.stack([drawing.named(name).x, drawing.named(name).y], axis=1)
        np.testing.assert_allclose(shown[np.lexsort(shown.T)], points[np.lexsort(points.T)], rtol=1e-6)
        np.testing.assert_allclose(drawing.named(f"{name} of 3").width, view.weight_by_level[level])
        np.testing.assert_allclose(drawing.named(f"{name} by head of 3").width, view.weight_by_head[:, level])


def test_area_follows_the_weight_and_hover_tells_the_numbers(trace: Trace) -> None:
    view = viewed(trace)
    points = drawn(view).named("S4")
    order = np.flatnonzero(view.level == 1)
    order = order[np.argsort(-view.weights[order], kind="stable")]
    large = points.size > 2.6
    area = points.size[large] ** 2 / view.weights[order][large]
    np.testing.assert_allclose(area, area[0], rtol=1e-4)
    i, text = order[0], points.hover[0]
    assert f"head {view.head[i]} · S4 · point {view.point[i]}" in text
    assert f"weight <b>{view.weights[i]:.3f}</b>" in text
    assert f"at {view.locations_px[i, 0]:.0f}, {view.locations_px[i, 1]:.0f} px" in text


def test_points_outside_the_photo_are_inside_the_figure(trace: Trace) -> None:
    queries = [q for q in range(20) if viewed(trace, q).outside]
    assert queries  # random offsets reach beyond the photo somewhere
    for query in queries[:3]:
        view = viewed(trace, query)
        panel = drawn(view).panels[0]
        (x0, x1), (y1, y0) = panel.x.range, panel.y.range
        x, y = view.locations_px.T
        assert x0 < x.min() < x.max() < x1
        assert y0 < y.min() < y.max() < y1
        frame = drawn(view).named("frame of the photo")
        assert (np.nanmax(frame.x), np.nanmax(frame.y)) == trace.image_size


def test_numbers_of_the_chain_are_written(trace: Trace) -> None:
    view = viewed(trace)
    written = words(drawn(view))
    for value in (*view.chain.reference, *view.chain.location):
        assert f"{value:.3f}".replace("-", "−") in written
    for value in view.chain.offset:
        assert f"{value:+.2f}".replace("-", "−") in written
    assert f"× {1 / NUM_POINTS[view.chain.level]:.3f}" in written


def test_the_cell_is_where_bilinear_reading_looks(trace: Trace) -> None:
    chain = viewed(trace).chain
    h, w = chain.map_size
    np.testing.assert_allclose(chain.cell, chain.location * [w, h] - 0.5, atol=1e-5)


def test_discrete_sampling_reads_a_whole_cell(detector: Detector, trace: Trace) -> None:
    rounded = detector.rerun(trace, [edits.set_sampling("discrete")])
    for query in range(20):
        chain = viewed(rounded, query).chain
        h, w = chain.map_size
        expected = (int(chain.location[0] * w + 0.5), int(chain.location[1] * h + 0.5))
        assert chain.cell.tolist() == np.clip(expected, 0, [w - 1, h - 1]).tolist()


def test_a_head_that_was_dropped_has_no_weight(detector: Detector, trace: Trace) -> None:
    dropped = [edits.drop_point(1, 3, 2, level, k) for level, n in enumerate(NUM_POINTS) for k in range(n)]
    view = viewed(detector.rerun(trace, dropped), layer=1, head=2)
    np.testing.assert_array_equal(view.weights, 0)
    np.testing.assert_array_equal(view.weight_by_level, 0)
    assert picture(view).table["weight"] == [0] * 9


def test_words_and_table(trace: Trace) -> None:
    view = viewed(trace, layer=0)
    made = picture(view)
    assert "In layer 1 query 3 reads 36 points with 4 heads" in made.caption
    assert f"{view.outside} of them outside" in made.caption
    assert made.caption in made.alt_text
    assert made.table["weight"] == sorted(made.table["weight"], reverse=True)
    assert (made.table["head"][0], made.table["point"][0]) == (view.chain.head, view.chain.point)
    assert {len(column) for column in made.table.values()} == {36}


def test_denoising_queries_before_a_query_change_nothing(trace: Trace, noised: Trace) -> None:
    """The first pass has 20 queries, the second 18 more in front; the matching ones do not see them."""
    for query in (0, 7, 19):
        alone, behind = viewed(trace, query, layer=1), viewed(noised, query, layer=1)
        for field in ("box", "offsets", "locations_px", "weights", "weight_by_head"):
            np.testing.assert_allclose(getattr(behind, field), getattr(alone, field), atol=2e-3, rtol=1e-3)
        one, two = (drawn(seen).named("reference box") for seen in (alone, behind))
        np.testing.assert_allclose(two.x, one.x, atol=1e-2)
