"""The figure of the decoder: one query's boxes and scores through the layers, and whom it listens to."""

import numpy as np
import pytest
from drawn import numbers, words

from rtdetr_explained import edits
from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.marks import Drawing
from rtdetr_explained.illustrations.decoder import figure
from rtdetr_explained.illustrations.decoder.view import DecoderView, view
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid


def test_boxes_are_the_first_one_and_one_after_each_layer(trace: Trace) -> None:
    shown = view(choose(trace, query=4))
    assert len(shown.boxes) == trace.num_layers + 1
    np.testing.assert_array_equal(shown.boxes[0], trace["decoder.layers.0.reference_boxes"].array[4])
    for layer in range(trace.num_layers):
        np.testing.assert_array_equal(shown.boxes[layer + 1], trace[f"decoder.layers.{layer}.boxes"].array[4])
    np.testing.assert_array_equal(shown.boxes[-1], trace.boxes[4])


def test_scores_are_those_of_the_final_class(trace: Trace) -> None:
    shown = view(choose(trace, query=4))
    label = trace.logits[4].argmax()
    token = trace.token_indices[4]
    assert shown.class_name == trace.class_names[label]
    assert shown.scores[-1] == pytest.approx(sigmoid(trace.logits[4, label]))
    assert shown.scores[0] == pytest.approx(sigmoid(trace["query_selection.class_logits"].array[token, label]))
    np.testing.assert_allclose(shown.scores[1:-1], trace.derived.layer_scores[:-1, 4, label])
    np.testing.assert_array_equal(shown.derived, [False, True, True, False])
    assert shown.steps == ("first", "layer 1", "layer 2", "layer 3 (final)")


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("head", [None, 1])
def test_attention_is_the_row_of_the_query(trace: Trace, layer: int, head: int | None) -> None:
    shown = view(choose(trace, query=4, layer=layer, head=head))
    weights = trace[f"decoder.layers.{layer}.self_attn.weights"].array.astype(np.float64)
    expected = weights[:, 4].mean(0) if head is None else weights[head, 4]
    np.testing.assert_allclose(shown.attention, expected, rtol=1e-5)
    others = sorted((q for q in range(20) if q != 4), key=lambda q: -expected[q])
    assert shown.linked.tolist() == others[:8]
    np.testing.assert_array_equal(shown.points, trace[f"decoder.layers.{layer}.reference_boxes"].array[:, :2])


def drawn(trace: Trace, **chosen) -> tuple[DecoderView, Drawing]:
    """Numbers and drawing of query 4."""
    shown = view(choose(trace, query=4, **chosen))
    return shown, figure.picture(shown).drawing


def test_the_drawing_shows_the_shownof_the_view(trace: Trace) -> None:
    shown, drawing = drawn(trace, layer=1, threshold=0.3)
    size = np.array(trace.image_size)
    for step, box in zip(shown.steps, cxcywh_to_xyxy_px(shown.boxes, trace.image_size), strict=True):
        mark = drawing.named(step)
        np.testing.assert_allclose([np.nanmin(mark.x), np.nanmin(mark.y)], box[:2], rtol=1e-5)
        np.testing.assert_allclose([np.nanmax(mark.x), np.nanmax(mark.y)], box[2:], rtol=1e-5)
    for q in shown.linked:
        link = drawing.named(f"link to query {q}")
        np.testing.assert_allclose(np.stack([link.x, link.y], 1), shown.points[[4, q]] * size, rtol=1e-5)
    np.testing.assert_allclose(drawing.named("others").width, shown.attention[shown.linked])
    np.testing.assert_allclose(drawing.named("itself").width, [shown.attention[4]])
    np.testing.assert_allclose(drawing.named("score").y, shown.scores)
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
    shown, drawing = drawn(trace)
    points = drawing.named("reference points")
    assert points.ids.tolist() == [q for q in range(20) if q != 4]
    np.testing.assert_allclose(points.x, shown.points[points.ids, 0] * trace.image_size[0], rtol=1e-6)


def test_derived_scores_are_labelled(trace: Trace) -> None:
    shown, drawing = drawn(trace)
    assert "derived" in words(drawing)
    assert figure.table(shown)["origin"] == ["traced", "derived", "derived", "traced"]


def test_one_layer_and_one_query_are_enough(detector: Detector, trace: Trace) -> None:
    shown = view(choose(detector.rerun(trace, [edits.set_queries(1), edits.set_layers(1)])))
    assert len(shown.linked) == 0
    assert not shown.derived.any()
    np.testing.assert_allclose(figure.picture(shown).drawing.named("itself").width, [1], rtol=1e-3)


@pytest.mark.parametrize(("layer", "head"), [(0, 2), (2, None)])
def test_the_words_tell_the_traces_numbers(trace: Trace, layer: int, head: int | None) -> None:
    shown, drawing = drawn(trace, layer=layer, head=head)
    weights = trace[f"decoder.layers.{layer}.self_attn.weights"].array[:, 4].astype(np.float64)  # H Q
    row = weights.mean(0) if head is None else weights[head]
    linked = np.sort(np.delete(row, 4))[-8:].sum()
    first, final = cxcywh_to_xyxy_px(np.stack([shown.boxes[0], trace.boxes[4]]), trace.image_size)
    picture = figure.picture(shown)
    heads = "4" if head is None else str(head)  # the mean of four, or the number of one
    expected = ["4", f"{trace.scores[4]:.2f}", f"{np.abs(final - first).max():.0f}", str(layer + 1), heads]
    assert numbers(picture.caption) == [*expected, f"{row[4]:.0%}", f"{linked:.0%}", "8"]
    assert picture.caption in picture.alt_text
    listening, _, _, bars = drawing.panels
    assert numbers(listening.title) == ["4"]
    assert numbers(listening.subtitle)[0] == str(layer + 1)
    assert numbers(bars.subtitle) == ["11", f"{1 - row[4] - linked:.2f}"]  # 20 queries without itself and eight


def test_corners_are_written_as_x_then_y(trace: Trace) -> None:
    """The photo is 150 px wide and 100 px high."""
    shown, drawing = drawn(trace)
    cx, cy, w, h = shown.boxes[1] * [150, 100, 150, 100]
    corners = [round(float(value)) for value in (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)]
    told = numbers(drawing.named("layer 1").hover[0].split(": ")[1])
    assert [int(value.replace("−", "-")) for value in told[:4]] == corners
    assert told[4] == f"{shown.scores[1]:.2f}"
    table = figure.table(shown)
    first = [table[f"{side} px"][1] for side in ("x0", "y0", "x1", "y1")]
    np.testing.assert_allclose(first, [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], atol=0.06)
    np.testing.assert_allclose(table["score"], shown.scores, atol=1e-4)
