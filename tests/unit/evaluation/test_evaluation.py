from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from rtdetr_explained.data.annotations import Annotations, Row, annotated_image
from rtdetr_explained.data.report import Report
from rtdetr_explained.data.shapes import SHAPE_CLASSES, SceneConfig, generate_scene
from rtdetr_explained.errors import InputError
from rtdetr_explained.evaluation.coco import coco_metrics
from rtdetr_explained.evaluation.photos import evaluate_photos
from rtdetr_explained.evaluation.shapes import evaluate_shapes
from rtdetr_explained.evaluation.slices import slice_metrics
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
    assert metrics["per_class"]["circle"]["AP"] == pytest.approx(circle)
    assert metrics["per_class"]["square"]["AP"] == pytest.approx(0.3)
    assert metrics["per_class"]["star"] == {"objects": 0, "AP": None, "AP50": None, "AR": None}
    assert metrics["per_class"]["square"]["AP50"] == pytest.approx(1)
    assert metrics["per_class"]["circle"]["AR"] == pytest.approx(2 / 3)
    assert metrics["per_class"]["circle"]["objects"] == 3
    assert metrics["AP"] == pytest.approx((circle + 0.3) / 2)
    assert metrics["AP50"] == pytest.approx((circle + 1) / 2)
    assert metrics["AP75"] == pytest.approx(circle / 2)
    # By area: the 20 x 20 circles are small (one of two found), the 50 x 50 one is medium, the square is large.
    assert metrics["AP_small"] == metrics["AP50_small"] == pytest.approx(51 / 101)
    assert metrics["AP_medium"] == pytest.approx(1)
    assert metrics["AP_large"] == pytest.approx(0.3)
    assert metrics["AR"] == pytest.approx((2 / 3 + 0.3) / 2)


def test_nothing_found_is_zero_and_nothing_to_find_is_none():
    nothing = {"labels": np.zeros(0, np.int64), "boxes": np.zeros((0, 4))}
    silent = {**nothing, "scores": np.zeros(0)}
    found = coco_metrics([silent], [objects((0, 0, 0, 20, 20))], CLASSES)
    assert (found["AP"], found["AP_small"], found["AP_large"]) == (0.0, 0.0, None)
    assert coco_metrics([silent], [nothing], CLASSES)["AP"] is None
    with pytest.raises(InputError, match="No image is left"):
        coco_metrics([], [], CLASSES)


def test_ignored_objects_count_neither_way():
    target = objects((0, 0, 0, 20, 20), (0, 50, 50, 150, 150))
    found = objects((0, 50, 50, 150, 150, 0.9), (0, 0, 0, 20, 20, 0.8))
    ignoring = {**target, "ignored": np.array([False, True])}
    assert coco_metrics([found], [ignoring], CLASSES)["AP"] == pytest.approx(1)
    assert coco_metrics([found], [ignoring], CLASSES)["per_class"]["circle"]["objects"] == 1
    only_ignored = objects((0, 50, 50, 150, 150, 0.9))
    assert coco_metrics([only_ignored], [ignoring], CLASSES)["AP"] == 0


def test_areas_decide_what_is_small():
    target = {**objects((0, 0, 0, 40, 40)), "areas": np.array([1000.0])}  # a thin outline in a box of 1600 px²
    metrics = coco_metrics([objects((0, 0, 0, 40, 40, 0.9))], [target], CLASSES)
    assert (metrics["AP_small"], metrics["AP_medium"]) == (pytest.approx(1), None)


def test_slices_computed_by_hand():
    # Ten circles in the first image, all found; in the second one a square, found, and one star, missed.
    ten = [(0, 50 * i, 0, 50 * i + 40, 40) for i in range(10)]
    targets = [objects(*ten), objects((1, 0, 0, 20, 20), (2, 100, 100, 120, 120))]
    detections = [objects(*((*row, 0.9) for row in ten)), objects((1, 0, 0, 20, 20, 0.9))]
    slices = slice_metrics(detections, targets, CLASSES, coco_metrics(detections, targets, CLASSES))
    assert slices["small_objects"] == {"objects": 2, "AP": 0.5, "AP50": 0.5, "AR": 0.5}
    assert slices["crowded_images"] == {
        "images": 1,
        "objects": 10,
        **dict.fromkeys(("AP", "AP50", "AR"), pytest.approx(1)),
    }
    # A class has 4 objects on average; square and star have fewer than 2 each.
    assert slices["long_tail"] == {"classes": ["square", "star"], "objects": 2, "AP": 0.5, "AP50": 0.5, "AR": 0.5}


def test_slices_without_content_are_none():
    targets = [objects((0, 0, 0, 50, 50), (1, 60, 60, 110, 110))]
    detections = [objects((0, 0, 0, 50, 50, 0.9))]
    slices = slice_metrics(detections, targets, CLASSES, coco_metrics(detections, targets, CLASSES))
    assert slices["small_objects"]["AP"] is None
    assert (slices["crowded_images"]["images"], slices["crowded_images"]["AP"]) == (0, None)
    assert (slices["long_tail"]["classes"], slices["long_tail"]["AR"]) == ([], None)


class Oracle(RTDETR):
    """Answers with the true objects of the scenes it is shown, in a fixed order."""

    def __init__(self, seeds: range, size: tuple[int, int]) -> None:
        super().__init__(replace(CONFIGS["nano"], width=8, hidden_dim=32, decoder_dim=32, image_size=size))
        self.eval()
        self.scenes = [generate_scene(seed, SceneConfig(size=size)) for seed in seeds]

    def forward(self, images: Tensor, targets: object = None) -> dict[str, Tensor]:
        if not images.any():  # the pass that is not counted
            return super().forward(images)
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


def test_perfect_answers_on_photographs_score_one_and_a_damaged_one_is_counted(tmp_path):
    seeds, (h, w), report = range(3), (96, 128), Report()
    images = []
    for seed in seeds:
        scene = generate_scene(seed, SceneConfig(size=(h, w)))
        Image.fromarray(scene.image).save(tmp_path / f"{seed}.png")
        center, half = scene.boxes[:, :2], scene.boxes[:, 2:] / 2
        corners = np.concatenate([center - half, center + half], axis=1) * np.array([w, h, w, h])
        rows = [Row(c, tuple(box), None, False) for c, box in zip(scene.labels.tolist(), corners.tolist(), strict=True)]
        images.append(annotated_image(tmp_path / f"{seed}.png", seed, (w, h), rows, report))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    images.append(annotated_image(tmp_path / "bad.png", 3, (w, h), [], report))
    data = Annotations(tuple(images), SHAPE_CLASSES, tuple(range(len(SHAPE_CLASSES))))
    metrics = evaluate_photos(Oracle(seeds, (h, w)), data, (h, w), 2, report)
    assert metrics["AP"] == pytest.approx(1)
    assert report.counts == {"bad_image": 1}
