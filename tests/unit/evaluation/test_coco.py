"""Which overlap each average precision asks for."""

import numpy as np
import pytest

from rtdetr_explained.evaluation.coco import coco_metrics


@pytest.mark.parametrize(
    ("overlap", "ap", "ap50", "ap75"),
    # Of the thresholds 0.50, 0.55, … 0.95 those up to the overlap are met.
    [(0.48, 0.0, 0, 0), (0.52, 0.1, 1, 0), (0.72, 0.5, 1, 0), (0.76, 0.6, 1, 1), (0.82, 0.7, 1, 1), (1.0, 1.0, 1, 1)],
)
@pytest.mark.parametrize("side", [20.0, 50.0, 200.0])
def test_an_object_is_found_at_the_thresholds_up_to_its_overlap(
    side: float, overlap: float, ap: float, ap50: float, ap75: float
):
    label = np.zeros(1, np.int64)
    target = {"labels": label, "boxes": np.array([[0, 0, side, side]])}
    found = {"labels": label, "boxes": np.array([[0, 0, side, overlap * side]]), "scores": np.ones(1)}
    metrics = coco_metrics([found], [target], ("thing",))
    assert (metrics["AP50"], metrics["AP75"]) == (ap50, ap75)
    assert metrics["AP"] == metrics["AR"] == pytest.approx(ap)
    size = "small" if side < 32 else "medium" if side < 96 else "large"
    assert metrics[f"AP_{size}"] == metrics[f"AR_{size}"] == pytest.approx(ap)
    others = {"small", "medium", "large"} - {size}
    assert all(metrics[f"AP_{other}"] is None for other in others)
    assert metrics["AP50_small"] == (ap50 if size == "small" else None)
