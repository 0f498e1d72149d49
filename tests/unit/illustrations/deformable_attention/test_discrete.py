"""The words on the two ways of reading: medians, extremes, and whose numbers they are."""

import numpy as np
import pytest
from drawn import numbers

from rtdetr_explained import edits
from rtdetr_explained.detector import Detector
from rtdetr_explained.illustrations.deformable_attention import discrete
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.results import outcome
from rtdetr_explained.tracing.trace import Trace


@pytest.mark.parametrize("query", [3, 11])
def test_the_caption_tells_the_querys_move_and_the_median_and_greatest_of_all(
    detector: Detector, trace: Trace, query: int
) -> None:
    again = detector.rerun(trace, [edits.set_sampling("discrete")])
    view = discrete.view(choose(trace, query=query, layer=1), outcome(again))
    before, after = trace.boxes * np.tile(trace.image_size, 2), again.boxes * np.tile(trace.image_size, 2)
    moved = np.hypot(*(after - before)[:, :2].T)
    best = trace.labels, np.arange(len(trace.labels))
    scores = np.abs(1 / (1 + np.exp(-again.logits[best[1], best[0]])) - trace.scores)
    text = discrete.caption(view)
    assert text.startswith("With discrete reads")
    written = [float(number) for number in numbers(text)]
    assert written[:2] == [query, pytest.approx(moved[query], abs=0.051)]
    assert written[2] == pytest.approx(view.change.iou, abs=0.0051)
    assert written[3:5] == [pytest.approx(np.median(moved), abs=0.051), pytest.approx(moved.max(), abs=0.51)]
    assert written[5:] == [pytest.approx(np.median(scores), abs=0.00051), pytest.approx(scores.max(), abs=0.0051)]
    assert np.median(moved) + 0.2 < moved.max()  # or the two could not be told apart
