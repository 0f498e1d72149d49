"""In a trace with denoising queries, every view tells of the matching ones what a trace without them tells."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations import query_facts
from rtdetr_explained.illustrations.decoder import duplicates, trajectory, updates
from rtdetr_explained.illustrations.decoder import view as decoder
from rtdetr_explained.illustrations.query_selection import view as query_selection
from rtdetr_explained.illustrations.query_selection.place import place_report
from rtdetr_explained.tracing.choice import Choice, choose
from rtdetr_explained.tracing.trace import Trace

VIEWS: dict[str, Callable[[Choice], Any]] = {
    "query_facts": query_facts.view,
    "decoder": decoder.view,
    "trajectory": trajectory.trajectory,
    "updates": updates.view,
    "duplicates": duplicates.view,
    "query_selection": query_selection.view,
    "place": lambda choice: place_report(choice, 0.4, 0.6),
}


@pytest.fixture(scope="module")
def noised(detector: Detector, trace: Trace) -> Trace:
    """The same photo with denoising queries before the matching ones, which cannot look at them."""
    noised = detector.trace_denoising(trace, np.array([[0.5, 0.5, 0.4, 0.4], [0.2, 0.3, 0.2, 0.1]]), np.array([1, 2]))
    assert len(noised["decoder.layers.1.boxes"].array) > len(trace.logits)
    return noised


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("head", [None, 2])
def test_the_matching_queries_are_told_of(trace: Trace, noised: Trace, name: str, head: int | None) -> None:
    without, beside = (VIEWS[name](choose(t, query=4, compare=7, layer=1, head=head)) for t in (trace, noised))
    for field in fields(without):
        one, other = getattr(without, field.name), getattr(beside, field.name)
        if isinstance(one, np.ndarray) and one.dtype.kind == "f":
            np.testing.assert_allclose(other, one, rtol=2e-3, atol=1e-5, err_msg=field.name)
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(other, one, err_msg=field.name)
