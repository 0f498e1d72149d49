"""How queries change from layer to layer: boxes, scores, moves and sizes, against the trace itself."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import TINY, random_model, random_photo

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.decoder import trajectory as module
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace, sigmoid


def test_steps_are_the_first_boxes_and_those_after_each_layer(trace: Trace) -> None:
    boxes = module.step_boxes(choose(trace))
    assert boxes.shape == (trace.num_layers + 1, 20, 4)
    np.testing.assert_array_equal(boxes[0], trace["decoder.layers.0.reference_boxes"].array)
    np.testing.assert_array_equal(boxes[2], trace["decoder.layers.1.boxes"].array)
    np.testing.assert_array_equal(boxes[-1], trace.boxes)


def test_scores_are_those_of_the_final_class_of_each_query(trace: Trace) -> None:
    scores = module.step_scores(choose(trace))
    for query in range(20):
        label = trace.labels[query]
        token = trace.token_indices[query]
        assert scores[0, query] == pytest.approx(sigmoid(trace["query_selection.class_logits"].array[token, label]))
        np.testing.assert_allclose(scores[1:-1, query], trace.derived.layer_scores[:-1, query, label])
    np.testing.assert_array_equal(scores[-1], trace.scores)
    assert module.derived_steps(trace).tolist() == [False, True, True, False]


def test_moves_are_distances_in_pixels_of_the_photo(trace: Trace) -> None:
    before, after = trace["decoder.layers.1.boxes"].array, trace["decoder.layers.2.boxes"].array
    dx, dy = (after - before)[:, 0] * 150, (after - before)[:, 1] * 100
    np.testing.assert_allclose(module.moves_px(choose(trace))[2], np.hypot(dx, dy), rtol=1e-4, atol=1e-6)


def test_sizes_change_by_the_root_of_the_areas_ratio(trace: Trace) -> None:
    boxes = module.step_boxes(choose(trace)).astype(float)
    areas = boxes[..., 2] * boxes[..., 3]
    np.testing.assert_allclose(2 ** module.size_changes(choose(trace)), np.sqrt(areas[1:] / areas[:-1]), rtol=1e-5)


def test_a_box_without_area_has_a_finite_change(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "step_boxes", lambda choice: np.zeros((3, 2, 4)))
    np.testing.assert_array_equal(module.size_changes(choose(trace)), np.zeros((2, 2)))


def test_one_query(trace: Trace) -> None:
    path = module.trajectory(choose(trace, query=4))
    cx, cy, w, h = trace.boxes[4] * [150, 100, 150, 100]
    np.testing.assert_allclose(path.boxes_px[-1], [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], rtol=1e-5)
    assert path.name == trace.class_names[trace.labels[4]] == path.best_names[-1]
    np.testing.assert_allclose(np.log2(path.growth), module.size_changes(choose(trace))[:, 4])
    for layer in range(2):
        scores = trace.derived.layer_scores[layer, 4]
        assert path.best_names[layer + 1] == trace.class_names[scores.argmax()]
        assert path.best_scores[layer + 1] == pytest.approx(scores.max())
    assert path.best_scores[-1] == path.scores[-1] == trace.scores[4]


def test_where_the_encoder_knows_no_class_the_first_score_is_that_of_an_object() -> None:
    trace = Detector(random_model(replace(TINY, query_select_method="agnostic"))).trace(random_photo(100, 150))
    path = module.trajectory(choose(trace, query=3))
    token = trace.token_indices[3]
    assert path.best_names[0] == "object"
    assert path.scores[0] == path.best_scores[0]
    assert path.scores[0] == pytest.approx(sigmoid(trace["query_selection.class_logits"].array[token, 0]))


def test_one_layer_is_enough(detector: Detector, trace: Trace) -> None:
    short = detector.rerun(trace, [edits.set_layers(1)])
    path = module.trajectory(choose(short, query=4))
    assert len(path.boxes_px) == len(path.scores) == 2
    assert len(path.growth) == 1
    assert not path.derived.any()
