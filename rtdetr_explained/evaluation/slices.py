"""Where detectors are weak: small objects, crowded images, and classes of which there is little."""

from collections.abc import Sequence
from typing import Any

from rtdetr_explained.evaluation.coco import Objects, coco_metrics, to_find

SMALL_PX = 32
CROWDED_FROM = 10
TAIL_BELOW = 0.5


def slice_metrics(
    detections: Sequence[Objects], targets: Sequence[Objects], class_names: Sequence[str], metrics: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Accuracy on three parts of the data; `metrics` are `coco_metrics` of all of it. AP is None for an empty part.

    - `small_objects`: objects of less than 32² square pixels in the original image, as COCO defines small.
    - `crowded_images`: images with 10 objects or more (an image of COCO has 7 on average), with all their objects.
    - `long_tail`: classes that have objects, but fewer than half as many as a class has on average; AP and AR are means
      over these classes. Where all classes are about equally frequent there is no tail.
    """
    counts = [int(to_find(target).sum()) for target in targets]
    crowded = [i for i, count in enumerate(counts) if count >= CROWDED_FROM]
    inside: dict[str, Any] = {"AP": None, "AP50": None, "AR": None}
    if crowded:
        inside = coco_metrics([detections[i] for i in crowded], [targets[i] for i in crowded], class_names)
    present = {name: row for name, row in metrics["per_class"].items() if row["objects"]}
    limit = TAIL_BELOW * sum(row["objects"] for row in present.values()) / max(len(present), 1)
    tail = {name: row for name, row in present.items() if row["objects"] < limit}
    return {
        "small_objects": {
            "objects": sum(_num_small(target) for target in targets),
            "AP": metrics["AP_small"],
            "AP50": metrics["AP50_small"],
            "AR": metrics["AR_small"],
        },
        "crowded_images": {
            "images": len(crowded),
            "objects": sum(counts[i] for i in crowded),
            **{key: inside[key] for key in ("AP", "AP50", "AR")},
        },
        "long_tail": {
            "classes": sorted(tail),
            "objects": sum(row["objects"] for row in tail.values()),
            **{
                key: sum(row[key] for row in tail.values()) / len(tail) if tail else None
                for key in ("AP", "AP50", "AR")
            },
        },
    }


def _num_small(target: Objects) -> int:
    boxes = target["boxes"]
    areas = target["areas"] if "areas" in target else (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return int(((areas < SMALL_PX**2) & to_find(target)).sum())
