"""How good a detector is on generated scenes that no training has seen."""

from collections.abc import Sequence
from typing import Any

from rtdetr_explained.evaluation.coco import coco_metrics
from rtdetr_explained.evaluation.finding import find
from rtdetr_explained.evaluation.samples import ALL_SHAPES, scene_samples
from rtdetr_explained.model.rtdetr import RTDETR


def evaluate_shapes(model: RTDETR, seeds: Sequence[int], size: tuple[int, int], batch: int) -> dict[str, Any]:
    """COCO metrics of a model in eval mode on the scenes of these seeds, at size (height, width) in pixels."""
    findings = list(find(model, scene_samples(seeds, size, ALL_SHAPES), size, batch))
    return coco_metrics([f.found for f in findings], [f.target for f in findings], model.config.class_names)
