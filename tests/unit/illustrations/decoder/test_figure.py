"""The figure of the decoder: one query's boxes and scores through the layers, and whom it listens to."""

import numpy as np
import pytest
from figure_checks import plotly_trace
from mark_checks import check_marks, plain

from rtdetr_explained import edits
from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.decoder import view as decoder
from rtdetr_explained.tracing.trace import Trace, sigmoid


def test_boxes_are_the_first_one_and_one_after_each_layer(trace: Trace) -> None:
    view = decoder.view(trace, 4)
    assert len(view.boxes) == trace.num_layers + 1
    np.testing.assert_array_equal(view.boxes[0], trace["decoder.layers.0.reference_boxes"].array[4])
    for layer in range(trace.num_layers):
        np.testing.assert_array_equal(view.boxes[layer + 1], trace[f"decoder.layers.{layer}.boxes"].array[4])
    np.testing.assert_array_equal(view.boxes[-1], trace.boxes[4])


def test_scores_are_those_of_the_final_class(trace: Trace) -> None:
    view = decoder.view(trace, 4)
    label = trace.logits[4].argmax()
    token = trace.token_indices[4]
    assert view.class_name == trace.class_names[label]
    assert view.scores[-1] == pytest.approx(sigmoid(trace.logits[4, label]))
    assert view.scores[0] == pytest.approx(sigmoid(trace["query_selection.class_logits"].array[token, label]))
    np.testing.assert_allclose(view.scores[1:-1], trace.derived.layer_scores[:-1, 4, label])
    np.testing.assert_array_equal(view.derived, [False, True, True, False])
    assert view.steps == ("first", "layer 1", "layer 2", "layer 3 (final)")


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("head", [None, 1])
def test_attention_is_the_row_of_the_query(trace: Trace, layer: int, head: int | None) -> None:
    view = decoder.view(trace, 4, layer=layer, head=head)
    weights = trace[f"decoder.layers.{layer}.self_attn.weights"].array.astype(np.float64)
    expected = weights[:, 4].mean(0) if head is None else weights[head, 4]
    np.testing.assert_allclose(view.attention, expected, rtol=1e-5)
    others = sorted((q for q in range(20) if q != 4), key=lambda q: -expected[q])
    assert view.linked.tolist() == others[:8]
    np.testing.assert_array_equal(view.points, trace[f"decoder.layers.{layer}.reference_boxes"].array[:, :2])


def test_the_last_layer_is_shown_when_none_is_chosen(trace: Trace) -> None:
    assert decoder.view(trace).layer == trace.num_layers - 1


def test_both_figures_draw_the_same(trace: Trace) -> None:
    view = decoder.view(trace, 4, layer=1, threshold=0.3)
    drawn = check_marks(decoder, view)
    size = np.array(trace.image_size)
    for step, box in zip(view.steps, cxcywh_to_xyxy_px(view.boxes, trace.image_size), strict=True):
        outline = drawn["lines", step]
        np.testing.assert_allclose([*np.nanmin(outline, 0), *np.nanmax(outline, 0)], box, rtol=1e-5)
    for q in view.linked:
        np.testing.assert_allclose(drawn["lines", f"link to query {q}"], view.points[[4, q]] * size, rtol=1e-5)
    np.testing.assert_allclose(drawn["bars", "others"][:, 1], view.attention[view.linked])
    np.testing.assert_allclose(drawn["bars", "itself"][0, 1], view.attention[4])
    np.testing.assert_allclose(drawn["lines", "score"][:, 1], view.scores)
    assert len(drawn["markers", "traced"]) == len(drawn["markers", "derived"]) == 2


def test_boxes_above_the_threshold_stand_out(trace: Trace) -> None:
    threshold = float(np.sort(trace.scores)[-5])
    figure = decoder.plotly_figure(decoder.view(trace, 4, threshold=threshold), "light")
    found = np.flatnonzero((trace.scores > threshold) & (np.arange(20) != 4))
    for name, count in (("other detections", len(found)), ("other queries", 19 - len(found))):
        assert len(plotly_trace(figure, name).x) == 6 * count


def test_without_detections_it_still_draws(trace: Trace) -> None:
    drawn = check_marks(decoder, decoder.view(trace, 4, threshold=1.0))
    assert len(drawn["lines", "other detections"]) == 0


def test_a_click_on_a_reference_point_tells_its_query(trace: Trace) -> None:
    view = decoder.view(trace, 4)
    points = plotly_trace(decoder.plotly_figure(view, "dark"), "reference points")
    assert points.customdata.tolist() == [q for q in range(20) if q != 4]
    np.testing.assert_allclose(points.x, view.points[points.customdata, 0] * trace.image_size[0], rtol=1e-6)


def test_derived_scores_are_labelled(trace: Trace) -> None:
    words = plain("light", decoder, decoder.view(trace, 4))
    assert "derived" in words.split(" | ")
    assert decoder.table(decoder.view(trace, 4))["origin"] == ["traced", "derived", "derived", "traced"]


def test_one_layer_and_one_query_are_enough(detector: Detector, trace: Trace) -> None:
    alone = detector.rerun(trace, [edits.set_queries(1), edits.set_layers(1)])
    view = decoder.view(alone)
    assert len(view.linked) == 0
    assert not view.derived.any()
    drawn = check_marks(decoder, view)
    assert drawn["bars", "itself"][0, 1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"query": 20}, "There is no query 20; this trace has queries 0 to 19."),
        ({"layer": 3}, "There is no layer 3; choose one from 0 to 2."),
        ({"layer": -1}, "There is no layer -1"),
        ({"head": 4}, "There is no head 4; choose one from 0 to 3."),
    ],
)
def test_what_does_not_exist_is_refused(trace: Trace, selection: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decoder.view(trace, **selection)


def test_words_and_table(trace: Trace) -> None:
    view = decoder.view(trace, 4, layer=1, head=2)
    caption = decoder.caption(view)
    assert f"“{view.class_name}” with {view.scores[-1]:.2f}" in caption
    assert "in layer 2 (head 2)" in caption
    assert caption in decoder.alt_text(view)
    table = decoder.table(view)
    corners = cxcywh_to_xyxy_px(view.boxes, trace.image_size)
    np.testing.assert_allclose(table["x1 px"], corners[:, 2], atol=0.06)
    np.testing.assert_allclose(table["score"], view.scores, atol=1e-4)
