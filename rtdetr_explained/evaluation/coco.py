"""Average precision as COCO defines it, computed by faster-coco-eval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

Objects = Mapping[str, np.ndarray]  # "boxes" (n, 4) xyxy in pixels, "labels" (n,); detections also "scores" (n,)


def coco_metrics(
    detections: Sequence[Objects], targets: Sequence[Objects], class_names: Sequence[str]
) -> dict[str, Any]:
    """Compare the detections of each image with its objects, image by image in the same order.

    Returns AP (mean over IoU 0.50:0.95 and classes), AP50, AP75, AP_small, AP_medium, AP_large (area below 32², below
    96² and above, in pixels of the boxes given), AR (at most 100 detections per image), AR_small, AR_medium, AR_large,
    and `per_class`: AP by class name. A number is None where there was no object to find.
    """
    truth = COCO(_dataset(targets, class_names))
    evaluation = COCOeval_faster(truth, truth.loadRes(_results(detections)), iouType="bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][..., -1]  # IoU, recall, class, area (all, small, medium, large)
    recall = evaluation.eval["recall"][..., -1]  # IoU, class, area
    sizes = ("", "_small", "_medium", "_large")
    metrics = {f"AP{size}": _mean(precision[..., i]) for i, size in enumerate(sizes)}
    metrics |= {"AP50": _mean(precision[0, ..., 0]), "AP75": _mean(precision[5, ..., 0])}
    metrics |= {f"AR{size}": _mean(recall[..., i]) for i, size in enumerate(sizes)}
    per_class = {name: _mean(precision[:, :, i, 0]) for i, name in enumerate(class_names)}
    return {**metrics, "per_class": per_class}


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]  # -1 marks a class, size or threshold without any object
    return float(known.mean()) if known.size else None


def _dataset(targets: Sequence[Objects], class_names: Sequence[str]) -> dict[str, Any]:
    annotations = []
    for image_id, target in enumerate(targets):
        for label, bbox in zip(target["labels"].tolist(), _xywh(target["boxes"]), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,  # 0 would read as "not matched"
                    "image_id": image_id,
                    "category_id": label,
                    "bbox": bbox,
                    "area": bbox[2] * bbox[3],
                    "iscrowd": 0,
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
