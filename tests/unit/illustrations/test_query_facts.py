"""A query in numbers, in pixels and in parts of the image."""

import numpy as np
import pytest

from app.widgets import units
from rtdetr_explained.illustrations import query_facts
from rtdetr_explained.tracing.choice import choose


def test_the_facts_are_those_of_the_trace(trace):
    facts = query_facts.view(choose(trace, query=3))
    query = trace.query(3)
    assert (facts.index, facts.token, facts.row, facts.col) == (3, query.token, query.row, query.col)
    assert facts.score == pytest.approx(float(trace.scores[3]))
    width, height = trace.image_size
    assert facts.center == pytest.approx((query.box[0] * width, query.box[1] * height), rel=1e-5)
    assert facts.size == pytest.approx((query.box[2] * width, query.box[3] * height), rel=1e-5)
    assert len(facts.layers) == trace.num_layers
    assert facts.layers[-1].score == pytest.approx(query.layer_scores[-1].max())
    assert facts.level == ("S3", "S4", "S5")[query.level]
    assert facts.stride == trace.input_size[0] / trace.map_sizes[query.level][0] == 8 * 2**query.level
    assert [layer.layer for layer in facts.layers] == [0, 1, 2]


def test_the_unit_scales_places_and_moves(trace):
    in_px, in_image = query_facts.view(choose(trace, query=3)), query_facts.view(choose(trace, query=3, unit="image"))
    assert in_px.center == pytest.approx(np.multiply(in_image.center, trace.image_size), rel=1e-5)
    boxes = trace.query(3).reference_boxes
    assert in_image.layers[0].moved == pytest.approx(np.linalg.norm(boxes[1, :2] - boxes[0, :2]), rel=1e-5)
    assert in_px.layers[0].moved == pytest.approx(
        np.linalg.norm((boxes[1, :2] - boxes[0, :2]) * trace.image_size), rel=1e-5
    )


def test_text_in_both_units():
    assert units.place((411.6, 230.2), "px") == "(412, 230)"
    assert units.place((0.64, 0.3204), "image") == "(0.640, 0.320)"
    assert units.extent((120, 80), "px") == "120 × 80 px"
    assert units.extent((0.2, 0.1), "image") == "0.200 × 0.100 of the image"
