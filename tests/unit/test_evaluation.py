from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rtdetr_explained.data.shapes import SHAPE_CLASSES, SceneConfig, generate_scene
from rtdetr_explained.evaluation.coco import coco_metrics
from rtdetr_explained.evaluation.shapes import evaluate_shapes
from rtdetr_explained.model.config import CONFIGS
from rtdetr_explained.model.rtdetr import RTDETR

CLASSES = ("circle", "square", "star")


def objects(*rows: tuple) -> dict[str, np.ndarray]:
    """Rows of label, x0, y0, x1, y1 and, for detections, a score."""
    table = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    if not rows:
        table = np.zeros((0, 6))
    columns = {"labels": table[:, 0].astype(np.int64), "boxes": table[:, 1:5]}
    return {**columns, "scores": table[:, 5]} if table.shape[1] > 5 else columns


def test_average_precision_computed_by_hand():
    targets = [
        objects((0, 0, 0, 20, 20), (0, 50, 50, 70, 70), (1, 100, 100, 200, 200)),
        objects((0, 10, 10, 60, 60)),
        {"labels": np.zeros(0, np.int64), "boxes": np.zeros((0, 4))},
    ]
    detections = [
        objects((0, 0, 0, 20, 20, 0.9), (0, 30, 0, 40, 10, 0.8), (1, 100, 100, 200, 160, 0.7)),
        objects((0, 10, 10, 60, 60, 0.6)),
        objects((2, 0, 0, 5, 5, 0.99)),
    ]
    metrics = coco_metrics(detections, targets, CLASSES)
    # Circles, at every threshold: hit, miss, hit of three objects. Precision is 1 up to recall 1/3 (34 of the 101
    # recall points 0, 0.01, …), 2/3 up to recall 2/3 (33 points), then 0.
    circle = (34 * 1 + 33 * 2 / 3) / 101
    # The square overlaps by 0.6: a hit at the thresholds 0.50, 0.55 and 0.60 of the ten.
    assert metrics["per_class"]["circle"] == pytest.approx(circle)
    assert metrics["per_class"]["square"] == pytest.approx(0.3)
    assert metrics["per_class"]["star"] is None
    assert metrics["AP"] == pytest.approx((circle + 0.3) / 2)
    assert metrics["AP50"] == pytest.approx((circle + 1) / 2)
    assert metrics["AP75"] == pytest.approx(circle / 2)
    # By area: the 20 x 20 circles are small (one of two found), the 50 x 50 one is medium, the square is large.
    assert metrics["AP_small"] == pytest.approx(51 / 101)
    assert metrics["AP_medium"] == pytest.approx(1)
    assert metrics["AP_large"] == pytest.approx(0.3)
    assert metrics["AR"] == pytest.approx((2 / 3 + 0.3) / 2)


def test_nothing_found_is_zero_and_nothing_to_find_is_none():
    nothing = {"labels": np.zeros(0, np.int64), "boxes": np.zeros((0, 4))}
    silent = {**nothing, "scores": np.zeros(0)}
    found = coco_metrics([silent], [objects((0, 0, 0, 20, 20))], CLASSES)
    assert (found["AP"], found["AP_small"], found["AP_large"]) == (0.0, 0.0, None)
    assert coco_metrics([silent], [nothing], CLASSES)["AP"] is None


class Oracle(RTDETR):
    """Answers with the true objects of the scenes it is shown, in a fixed order."""

    def __init__(self, seeds: range, size: tuple[int, int]) -> None:
        super().__init__(replace(CONFIGS["nano"], width=8, hidden_dim=32, decoder_dim=32, image_size=size))
        self.scenes = [generate_scene(seed, SceneConfig(size=size)) for seed in seeds]

    def forward(self, images: Tensor, targets: object = None) -> dict[str, Tensor]:
        logits = torch.full((len(images), 100, len(SHAPE_CLASSES)), -10.0)
        boxes = torch.full((len(images), 100, 4), 0.5)
        for row, image in enumerate(images):
            scene = self.scenes.pop(0)
            shown = torch.from_numpy(scene.image).permute(2, 0, 1) / 255
            assert torch.equal(image, shown)
            count = len(scene.labels)
            logits[row, torch.arange(count), torch.from_numpy(scene.labels)] = 5.0
            boxes[row, :count] = torch.from_numpy(scene.boxes)
        return {"pred_logits": logits, "pred_boxes": boxes}


def test_perfect_answers_on_scenes_score_one():
    seeds, size = range(5), (96, 128)
    metrics = evaluate_shapes(Oracle(seeds, size), seeds, size, batch=2)
    assert metrics["AP"] == pytest.approx(1)
    assert set(metrics["per_class"]) == set(SHAPE_CLASSES)
