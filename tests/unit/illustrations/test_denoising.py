"""The figure of denoising: noised boxes, what the decoder makes of them, and the attention mask."""

import numpy as np
import pytest
from figure_checks import plotly_traces
from mark_checks import check_marks, plain

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations import denoising
from rtdetr_explained.tracing.trace import Trace, sigmoid

BOXES = np.array([[0.3, 0.4, 0.2, 0.3], [0.7, 0.6, 0.3, 0.2], [0.5, 0.2, 0.1, 0.1]], dtype=np.float32)
LABELS = np.array([1, 0, 4])


@pytest.fixture(scope="module")
def noised(detector: Detector, trace: Trace) -> Trace:
    """Three objects, which make three groups of six queries."""
    return detector.trace_denoising(trace, BOXES, LABELS, seed=3)


@pytest.mark.parametrize("group", [0, 2])
def test_a_group_holds_positives_then_negatives(noised: Trace, group: int) -> None:
    view = denoising.view(noised, group)
    start = noised["decoder.layers.0.reference_boxes"].array
    np.testing.assert_array_equal(view.positive, start[6 * group : 6 * group + 3])
    np.testing.assert_array_equal(view.negative, start[6 * group + 3 : 6 * group + 6])
    np.testing.assert_array_equal(view.repaired, noised["decoder.layers.2.boxes"].array[6 * group : 6 * group + 3])
    np.testing.assert_array_equal(view.targets, BOXES)
    assert set(range(6 * group, 6 * group + 3)) <= set(noised.meta["denoising"]["positive"])


def test_noise_is_small_for_positives_and_large_for_negatives(noised: Trace) -> None:
    view = denoising.view(noised)
    corners = [cxcywh_to_xyxy_px(boxes, (1, 1)) for boxes in (view.targets, view.positive, view.negative)]
    reach = np.tile(view.targets[:, 2:] / 2, 2)
    assert (np.abs(corners[1] - corners[0]) <= reach * 1.001).all()
    # A negative corner moves by more than half the box, unless the border of the image or its opposite stops it.
    assert (np.abs(corners[2] - corners[0]) > np.abs(corners[1] - corners[0])).mean() > 0.5


def test_scores_belong_to_the_last_layer(noised: Trace) -> None:
    view = denoising.view(noised, 1)
    scores = sigmoid(noised.derived.layer_logits[-1])
    np.testing.assert_allclose(view.positive_scores, scores[[6, 7, 8], LABELS])
    np.testing.assert_allclose(view.negative_scores, scores[9:12].max(1))
    given = noised["denoising.labels"].array[6:9]
    assert view.given_names == tuple(noised.class_names[label] for label in given)
    assert view.names == tuple(noised.class_names[label] for label in LABELS)


def test_overlap_is_counted_in_pixels(noised: Trace) -> None:
    """The boxes painted on a fine grid give the same overlap."""
    view = denoising.view(noised)
    side = 2000
    y, x = np.indices((side, side)) / side + 0.5 / side

    def painted(box: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = cxcywh_to_xyxy_px(box, (1, 1))
        return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)

    for i in range(3):
        ours, truth = painted(view.positive[i]), painted(view.targets[i])
        expected = (ours & truth).sum() / (ours | truth).sum()
        assert view.iou_before[i] == pytest.approx(expected, abs=0.01)


def test_both_figures_draw_the_same(noised: Trace) -> None:
    view = denoising.view(noised, 1)
    drawn = check_marks(denoising, view)
    np.testing.assert_allclose(drawn["markers", "IoU before"][:, 0], view.iou_before)
    np.testing.assert_allclose(drawn["markers", "IoU after"][:, 0], view.iou_after)
    np.testing.assert_allclose(drawn["markers", "negative, best class"][:, 0], view.negative_scores)
    for name, boxes in (("positive", view.positive), ("negative", view.negative), ("repaired", view.repaired)):
        outlines = drawn["lines", name].reshape(3, 6, 2)
        corners = cxcywh_to_xyxy_px(boxes, noised.image_size)
        np.testing.assert_allclose(outlines[:, 0], corners[:, :2], rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(outlines[:, 2], corners[:, 2:], rtol=1e-5, atol=1e-3)


def test_the_mask_is_the_one_of_the_model(noised: Trace) -> None:
    view = denoising.view(noised)
    (mask,) = plotly_traces(denoising.plotly_figure(view, "light"), "heatmap")
    np.testing.assert_array_equal(mask.z.astype(bool), noised["denoising.attention_mask"].array)
    assert mask.z.shape == (18 + 20, 18 + 20)
    assert mask.colorscale[1][1] == "#1F2933"  # what is blocked is dark
    words = plain("light", denoising, view)
    for label in ("only their", "groups see", "blocked: no", "matching see"):
        assert label in words


def test_the_frame_lies_on_the_group_shown(noised: Trace) -> None:
    drawn = check_marks(denoising, denoising.view(noised, 2))
    frame = drawn["lines", "the group shown"]
    assert (np.nanmin(frame), np.nanmax(frame)) == (11.5, 17.5)


def test_many_objects_get_a_row_each(detector: Detector, trace: Trace) -> None:
    boxes = np.tile([0.5, 0.5, 0.2, 0.2], (10, 1)).astype(np.float32)
    many = denoising.view(detector.trace_denoising(trace, boxes, np.zeros(10, int)))
    assert many.num_groups == 1
    few = denoising.view(detector.trace_denoising(trace, boxes[:1], np.zeros(1, int)))
    assert few.num_groups == 10
    for view in (many, few):
        check_marks(denoising, view)


def test_a_trace_without_denoising_is_refused(trace: Trace) -> None:
    with pytest.raises(
        InputError, match=r"This trace has no denoising queries; make one with detector\.trace_denoising"
    ):
        denoising.view(trace)


def test_no_objects_are_refused(detector: Detector, trace: Trace) -> None:
    with pytest.raises(InputError, match="at least one object"):
        detector.trace_denoising(trace, np.zeros((0, 4)), np.zeros(0))


@pytest.mark.parametrize("group", [-1, 3])
def test_a_group_that_does_not_exist_is_refused(noised: Trace, group: int) -> None:
    with pytest.raises(InputError, match=f"There is no group {group}; choose one from 0 to 2."):
        denoising.view(noised, group)


def test_words_and_table(noised: Trace) -> None:
    view = denoising.view(noised, 1)
    caption = denoising.caption(view)
    assert caption.startswith("Training only: in group 2 of 3 the decoder pulls 3 slightly noised boxes")
    assert caption in denoising.alt_text(view)
    table = denoising.table(view)
    assert table["class"] == list(view.names)
    np.testing.assert_allclose(table["IoU after"], view.iou_after, atol=1e-3)
