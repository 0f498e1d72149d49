"""Figures of a large model and a busy photo stay small enough to be sent to a browser."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_models import TINY, random_model

from rtdetr_explained.detector import Detector
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.illustrations import picture
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace

# As many tokens, queries, heads, points and layers as the largest published model has.
LARGE = replace(TINY, num_heads=8, num_points=(4, 4, 4), num_queries=300, num_layers=6, num_denoising=100)


@pytest.fixture(scope="module")
def large() -> tuple[Trace, Trace]:
    """A trace of pure noise, the worst case for a JPEG, and its denoising trace."""
    detector = Detector(random_model(LARGE))
    noise = np.random.default_rng(0).integers(0, 256, (1280, 1280, 3), dtype=np.uint8)
    trace = detector.trace(noise, size=(640, 640))
    assert len(trace["query_selection.scores"].array) == 8400
    boxes = np.random.default_rng(1).uniform(0.2, 0.6, (20, 4)).astype(np.float32)
    return trace, detector.trace_denoising(trace, boxes, np.zeros(20, int))


@pytest.mark.parametrize("slug", ["query_selection", "decoder", "deformable_attention", "denoising"])
def test_a_figure_stays_below_a_megabyte(large: tuple[Trace, Trace], slug: str) -> None:
    figure: Any = to_plotly(picture(slug, choose(large[slug == "denoising"])).drawing, "light")
    assert len(figure.to_json()) < 1_000_000
    assert all(len(image.source) < 250_000 for image in figure.layout.images)
