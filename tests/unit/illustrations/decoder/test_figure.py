"""The figure of the decoder: one query's boxes and scores through the layers, and whom it listens to."""

import numpy as np
import pytest
from drawn import words

from rtdetr_explained import edits
from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.marks import Drawing
from rtdetr_explained.illustrations.decoder import figure
from rtdetr_explained.illustrations.decoder.view import DecoderView, view
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid


def test_boxes_are_the_first_one_and_one_after_each_layer(trace: Trace) -> None:
    numbers = view(choose(trace, query=4))
    assert len(numbers.boxes) == trace.num_layers + 1
    np.testing.assert_array_equal(numbers.boxes[0], trace["decoder.layers.0.reference_boxes"].array[4])
    for layer in range(trace.num_layers):
        np.testing.assert_array_equal(numbers.boxes[layer + 1], trace[f"decoder.layers.{layer}.boxes"].array[4])
    np.testing.assert_array_equal(numbers.boxes[-1], trace.boxes[4])


def test_scores_are_those_of_the_final_class(trace: Trace) -> None:
    numbers = view(choose(trace, query=4))
    label = trace.logits[4].argmax()
    token = trace.token_indices[4]
    assert numbers.class_name == trace.class_names[label]
    assert numbers.scores[-1] == pytest.approx(sigmoid(trace.logits[4, label]))
    assert numbers.scores[0] == pytest.approx(sigmoid(trace["query_selection.class_logits"].array[token, label]))
    np.testing.assert_allclose(numbers.scores[1:-1], trace.derived.layer_scores[:-1, 4, label])
    np.testing.assert_array_equal(numbers.derived, [False, True, True, False])
    assert numbers.steps == ("first", "layer 1", "layer 2", "layer 3 (final)")


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("head", [None, 1])
def test_attention_is_the_row_of_the_query(trace: Trace, layer: int, head: int | None) -> None:
    numbers = view(choose(trace, query=4, layer=layer, head=head))
    weights = trace[f"decoder.layers.{layer}.self_attn.weights"].array.astype(np.float64)
    expected = weights[:, 4].mean(0) if head is None else weights[head, 4]
    np.testing.assert_allclose(numbers.attention, expected, rtol=1e-5)
    others = sorted((q for q in range(20) if q != 4), key=lambda q: -expected[q])
    assert numbers.linked.tolist() == others[:8]
    np.testing.assert_array_equal(numbers.points, trace[f"decoder.layers.{layer}.reference_boxes"].array[:, :2])


def drawn(trace: Trace, **chosen) -> tuple[DecoderView, Drawing]:
    """Numbers and drawing of query 4."""
    numbers = view(choose(trace, query=4, **chosen))
    return numbers, figure.picture(numbers).drawing


def test_the_drawing_shows_the_numbers_of_the_view(trace: Trace) -> None:
    numbers, drawing = drawn(trace, layer=1, threshold=0.3)
    size = np.array(trace.image_size)
    for step, box in zip(numbers.steps, cxcywh_to_xyxy_px(numbers.boxes, trace.image_size), strict=True):
        mark = drawing.named(step)
        np.testing.assert_allclose([np.nanmin(mark.x), np.nanmin(mark.y)], box[:2], rtol=1e-5)
        np.testing.assert_allclose([np.nanmax(mark.x), np.nanmax(mark.y)], box[2:], rtol=1e-5)
    for q in numbers.linked:
        link = drawing.named(f"link to query {q}")
        np.testing.assert_allclose(np.stack([link.x, link.y], 1), numbers.points[[4, q]] * size, rtol=1e-5)
    np.testing.assert_allclose(drawing.named("others").width, numbers.attention[numbers.linked])
    np.testing.assert_allclose(drawing.named("itself").width, [numbers.attention[4]])
    np.testing.assert_allclose(drawing.named("score").y, numbers.scores)
    assert len(drawing.named("traced").x) == len(drawing.named("derived").x) == 2


def test_boxes_above_the_threshold_stand_out(trace: Trace) -> None:
    threshold = float(np.sort(trace.scores)[-5])
    _, drawing = drawn(trace, threshold=threshold)
    found = np.flatnonzero((trace.scores > threshold) & (np.arange(20) != 4))
    for name, count in (("other detections", len(found)), ("other queries", 19 - len(found))):
        assert len(drawing.named(name).x) == 6 * count
    _, drawing = drawn(trace, threshold=1.0)
    assert len(drawing.named("other detections").x) == 0


def test_a_click_on_a_reference_point_tells_its_query(trace: Trace) -> None:
    numbers, drawing = drawn(trace)
    points = drawing.named("reference points")
    assert points.ids.tolist() == [q for q in range(20) if q != 4]
    np.testing.assert_allclose(points.x, numbers.points[points.ids, 0] * trace.image_size[0], rtol=1e-6)


def test_derived_scores_are_labelled(trace: Trace) -> None:
    numbers, drawing = drawn(trace)
    assert "derived" in words(drawing)
    assert figure.table(numbers)["origin"] == ["traced", "derived", "derived", "traced"]


def test_one_layer_and_one_query_are_enough(detector: Detector, trace: Trace) -> None:
    numbers = view(choose(detector.rerun(trace, [edits.set_queries(1), edits.set_layers(1)])))
    assert len(numbers.linked) == 0
    assert not numbers.derived.any()
    np.testing.assert_allclose(figure.picture(numbers).drawing.named("itself").width, [1], rtol=1e-3)


def test_words_and_table(trace: Trace) -> None:
    numbers, _ = drawn(trace, layer=1, head=2)
    picture = figure.picture(numbers)
    assert f"“{numbers.class_name}” with {numbers.scores[-1]:.2f}" in picture.caption
    assert "in layer 2 (head 2)" in picture.caption
    assert picture.caption in picture.alt_text
    corners = cxcywh_to_xyxy_px(numbers.boxes, trace.image_size)
    np.testing.assert_allclose(picture.table["x1 px"], corners[:, 2], atol=0.06)
    np.testing.assert_allclose(picture.table["score"], numbers.scores, atol=1e-4)
