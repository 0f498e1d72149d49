"""Average precision as COCO defines it, computed by faster-coco-eval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from rtdetr_explained.errors import InputError

# "boxes" (n, 4) xyxy in pixels and "labels" (n,). Detections also have "scores" (n,). Targets may have "areas" (n,), in
# square pixels, where an object's area is not its box's, and "ignored" (n,), true for what need not be found.
Objects = Mapping[str, np.ndarray]


def coco_metrics(
    detections: Sequence[Objects], targets: Sequence[Objects], class_names: Sequence[str]
) -> dict[str, Any]:
    """Compare the detections of each image with its objects, image by image in the same order.

    Returns AP (mean over IoU 0.50:0.95 and classes), AP50, AP75, AP_small, AP_medium, AP_large (area below 32², below
    96² and above, in pixels of the boxes given), AP50_small, AR (at most 100 detections of a class per image),
    AR_small, AR_medium, AR_large, and `per_class`: by class name the number of its objects and its AP, AP50 and AR. A
    measure is None where there was no object to find. Raises InputError when there is no image.
    """
    if not targets:
        raise InputError("No image is left to evaluate on; choose data with images that can be read.")
    truth = COCO(_dataset(targets, class_names))
    evaluation = COCOeval_faster(truth, truth.loadRes(_results(detections)), iouType="bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][..., -1]  # IoU, recall, class, area (all, small, medium, large)
    recall = evaluation.eval["recall"][..., -1]  # IoU, class, area
    sizes = ("", "_small", "_medium", "_large")
    metrics = {f"AP{size}": _mean(precision[..., i]) for i, size in enumerate(sizes)}
    metrics |= {"AP50": _mean(precision[0, ..., 0]), "AP75": _mean(precision[5, ..., 0])}
    metrics |= {"AP50_small": _mean(precision[0, ..., 1])}
    metrics |= {f"AR{size}": _mean(recall[..., i]) for i, size in enumerate(sizes)}
    labels = np.concatenate([target["labels"][to_find(target)] for target in targets])
    per_class = {
        name: {
            "objects": int((labels == i).sum()),
            "AP": _mean(precision[:, :, i, 0]),
            "AP50": _mean(precision[0, :, i, 0]),
            "AR": _mean(recall[:, i, 0]),
        }
        for i, name in enumerate(class_names)
    }
    return {**metrics, "per_class": per_class}


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]  # -1 marks a class, size or threshold without any object
    return float(known.mean()) if known.size else None


def to_find(target: Objects) -> np.ndarray:
    """(n,) bool: which objects of an image are to be found, that is, are not ignored."""
    return ~target["ignored"] if "ignored" in target else np.ones(len(target["labels"]), bool)


def _dataset(targets: Sequence[Objects], class_names: Sequence[str]) -> dict[str, Any]:
    annotations = []
    for image_id, target in enumerate(targets):
        boxes = _xywh(target["boxes"])
        areas = target["areas"].tolist() if "areas" in target else [w * h for _, _, w, h in boxes]
        ignored = (~to_find(target)).tolist()
        for label, bbox, area, crowd in zip(target["labels"].tolist(), boxes, areas, ignored, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,  # 0 would read as "not matched"
                    "image_id": image_id,
                    "category_id": label,
                    "bbox": bbox,
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    return {
        "info": {},
        "images": [{"id": i} for i in range(len(targets))],
        "categories": [{"id": i, "name": name} for i, name in enumerate(class_names)],
        "annotations": annotations,
    }


def _results(detections: Sequence[Objects]) -> list[dict[str, Any]]:
    return [
        {"image_id": image_id, "category_id": label, "bbox": bbox, "score": score}
        for image_id, found in enumerate(detections)
        for label, bbox, score in zip(
            found["labels"].tolist(), _xywh(found["boxes"]), found["scores"].tolist(), strict=True
        )
    ]


def _xywh(boxes: np.ndarray) -> list[list[float]]:
    """Corners (n, 4) to the corner and size that COCO files hold."""
    boxes = boxes.astype(np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
