"""What a reader looks at is checked in one place."""

from __future__ import annotations

import numpy as np
import pytest

from rtdetr_explained.detector import Detector
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.choice import cell_below, choose
from rtdetr_explained.tracing.trace import Trace


def test_what_is_left_open_is_the_best_query_in_the_last_layer(trace: Trace) -> None:
    choice = choose(trace)
    assert choice.query == int(np.argmax(trace.scores))
    assert choice.layer == trace.num_layers - 1
    assert (choice.compare, choice.head, choice.level, choice.point, choice.cell, choice.scale) == (None,) * 6
    np.testing.assert_array_equal(choice.path.reference_boxes, trace.query(choice.query).reference_boxes)


def test_the_cell_lies_below_the_first_reference_point(trace: Trace) -> None:
    h, w = trace.map_sizes[-1]
    x, y = trace.query(4).reference_boxes[0][:2]
    assert choose(trace, query=4).cell_of_s5 == int(y * h) * w + int(x * w)
    assert choose(trace, query=4, cell=5).cell_of_s5 == 5
    assert cell_below(np.array([1.0, 1.0, 0.1, 0.1]), (3, 4)) == 11


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"query": 20}, "There is no query 20; choose one from 0 to 19."),
        ({"compare": 20}, "There is no query 20"),
        ({"layer": 3}, "There is no layer 3; choose one from 0 to 2."),
        ({"layer": -1}, "There is no layer -1"),
        ({"head": 4}, "There is no head 4; choose one from 0 to 3."),
        ({"level": 3}, "There is no level 3"),
        ({"point": 4 * 12}, "There is no point 48"),
        ({"cell": 12}, "There is no cell 12; choose one from 0 to 11."),
        ({"group": 1}, "There is no group 1"),
        ({"threshold": 1.5}, "from 0 to 1"),
        ({"unit": "cm"}, "There is no unit 'cm'; use one of px, image."),
        ({"scale": "page"}, "There is no scale 'page'; use one of map, stage."),
    ],
)
def test_what_the_trace_does_not_have_is_refused(trace: Trace, selection: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose(trace, **selection)


def test_a_channel_is_checked_against_the_map(trace: Trace) -> None:
    assert choose(trace, channel=3).channel_of(4, "S3") == 3
    assert choose(trace).channel_of(4, "S3") is None
    with pytest.raises(InputError, match="There is no channel 4 in S3; choose one from 0 to 3"):
        choose(trace, channel=4).channel_of(4, "S3")


def test_rows_of_a_denoising_trace_are_those_of_the_matching_queries(detector: Detector, trace: Trace) -> None:
    boxes = np.array([[0.5, 0.5, 0.4, 0.4]], np.float32)
    noised = detector.trace_denoising(trace, boxes, np.array([1]))
    extra = len(noised["decoder.layers.0.boxes"].array) - len(noised.logits)
    assert extra > 0
    choice = choose(noised, query=4)
    every = noised["decoder.layers.1.boxes"].array
    np.testing.assert_array_equal(choice.rows("decoder.layers.1.boxes")[4], every[extra + 4])
    weights = noised["decoder.layers.1.self_attn.weights"].array  # H Q Q
    np.testing.assert_array_equal(
        choice.rows("decoder.layers.1.self_attn.weights")[:, 4], weights[:, extra + 4, extra:]
    )
