"""What is in a data set: how many images, objects and classes, how large they are, and which images show it best."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from rtdetr_explained.data.annotations import AnnotatedImage, Annotations

SMALL_PX, MEDIUM_PX = 32, 96  # the sides of the squares that divide COCO's small, medium and large objects
SIZES = ("small", "medium", "large")


def survey(annotations: Annotations) -> dict[str, Any]:
    """Counts and sizes.

    Returns `images`, `objects`, `ignored` (crowds and difficult ones) and `empty_images` (without objects) as numbers;
    `width_px`, `height_px`, `objects_per_image` and `box_side_px` (the geometric mean of its sides) as minimum, median
    and maximum; `classes`, a row for each with its objects, its images and how many objects are small, medium and large
    by COCO's measure, in pixels of the images as they are.
    """
    images = annotations.images
    labels = np.concatenate([image.labels for image in images])
    areas = np.concatenate([image.areas for image in images])
    boxes = [image.boxes[:, 2:] * [image.width, image.height] for image in images]
    size = np.digitize(areas, [SMALL_PX**2, MEDIUM_PX**2])  # 0, 1, 2 for small, medium, large
    shown = Counter(label for image in images for label in {*image.labels.tolist()})
    classes = [
        {
            "name": name,
            "objects": int((labels == label).sum()),
            "images": shown[label],
            **{word: int(((labels == label) & (size == i)).sum()) for i, word in enumerate(SIZES)},
        }
        for label, name in enumerate(annotations.class_names)
    ]
    return {
        "images": len(images),
        "objects": len(labels),
        "ignored": sum(len(image.ignored_labels) for image in images),
        "empty_images": sum(not len(image.labels) for image in images),
        "width_px": _spread([image.width for image in images]),
        "height_px": _spread([image.height for image in images]),
        "objects_per_image": _spread([len(image.labels) for image in images]),
        "box_side_px": _spread(np.sqrt(np.concatenate(boxes).prod(1)).tolist()),
        "classes": classes,
    }


def as_text(result: dict[str, Any]) -> str:
    """A survey as tables for a terminal."""
    rows = result["classes"]
    names = ("image width", "image height", "objects per image", "side of a box")
    width = max(len(name) for name in [*names, *(row["name"] for row in rows)])
    unused = sum(not row["objects"] for row in rows)
    lines = [
        f"{result['data']}: {result['images']} images, {result['objects']} objects of {len(rows) - unused} classes"
        + (f" ({unused} more classes have none)" if unused else "")
        + (f", {result['ignored']} more objects ignored" if result["ignored"] else "")
        + (f", {result['empty_images']} images without an object" if result["empty_images"] else ""),
        "",
        f"{'':<{width}}{'least':>9}{'median':>9}{'most':>9}",
    ]
    for name, key in zip(names, ("width_px", "height_px", "objects_per_image", "box_side_px"), strict=True):
        unit = " px" if key.endswith("px") else ""
        lines.append(f"{name:<{width}}" + "".join(f"{value:>9.0f}" for value in result[key].values()) + unit)
    lines += ["", f"{'class':<{width}}{'objects':>9}{'images':>9}" + "".join(f"{word:>9}" for word in SIZES)]
    for row in rows:
        cells = (row[key] for key in ("objects", "images", *SIZES))
        lines.append(f"{row['name']:<{width}}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def telling(annotations: Annotations, count: int = 9) -> list[AnnotatedImage]:
    """Images that show the data: each the one with most classes that those before it lack, then with most objects."""
    left = [image for image in annotations.images if len(image.labels)]
    chosen: list[AnnotatedImage] = []
    seen: set[int] = set()
    while left and len(chosen) < count:
        best = max(left, key=lambda image: (len({*image.labels.tolist()} - seen), len(image.labels)))
        left = [image for image in left if image is not best]
        chosen.append(best)
        seen |= {*best.labels.tolist()}
    return chosen


def _spread(values: list[float]) -> dict[str, float]:
    return {"least": float(min(values)), "median": float(np.median(values)), "most": float(max(values))}
