"""The words on how far corners are moved, against the corners of the trace."""

import numpy as np
import pytest

from rtdetr_explained.detector import Detector
from rtdetr_explained.formulas import formulas
from rtdetr_explained.tracing.choice import choose
from rtdetr_explained.tracing.trace import Trace


def corners(boxes: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) cxcywh to corners."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


@pytest.mark.parametrize("group", [0, 1])
def test_the_title_says_how_far_the_corners_of_this_kind_go(detector: Detector, trace: Trace, group: int) -> None:
    """In the middle of the image no corner is cut."""
    true = np.array([[0.5, 0.5, 0.2, 0.3]], np.float32)
    noised = detector.trace_denoising(trace, true, np.array([1]), seed=3)
    queries = noised["denoising.noised_boxes"].array
    texts = {"positive": ("at most half a side", 0.0, 0.5), "negative": ("half to one whole side", 0.5, 1.0)}
    made = formulas("denoising", choose(noised, group=group))
    for row, (kind, (words, least, most)) in enumerate(texts.items()):
        moved = np.abs(corners(queries[2 * group + row][None]) - corners(true)) / np.tile(true[:, 2:], 2)  # in sides
        assert (moved >= least - 1e-4).all()
        assert (moved <= most + 1e-4).all()
        title = next(one.title for one in made if kind in one.title)
        assert words in title
        assert all(other not in title for other, *_ in texts.values() if other != words)
