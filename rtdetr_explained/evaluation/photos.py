"""How good a detector is on annotated photographs."""

from typing import Any

from rtdetr_explained.data.annotations import Annotations
from rtdetr_explained.data.report import Report
from rtdetr_explained.evaluation.coco import coco_metrics
from rtdetr_explained.evaluation.finding import find
from rtdetr_explained.evaluation.samples import photo_samples
from rtdetr_explained.model.rtdetr import RTDETR


def evaluate_photos(
    model: RTDETR, annotations: Annotations, size: tuple[int, int], batch: int, report: Report
) -> dict[str, Any]:
    """COCO metrics of a model in eval mode, its input resized to (height, width) pixels.

    Labels must be those of the model; `data.class_matching.with_classes` makes them so. Photographs that cannot be used
    go into the report. Raises InputError when none is left.
    """
    findings = list(find(model, photo_samples(enumerate(annotations.images), report), size, batch))
    return coco_metrics([f.found for f in findings], [f.target for f in findings], model.config.class_names)
