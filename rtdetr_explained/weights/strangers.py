"""Checkpoints of other well-known tools, so that they can be called by name when they cannot be read.

Each row was taken from what the tool itself writes: a tensor's name, or a class in its pickle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

BY_TENSOR = (  # a name that its state dicts have and RT-DETR has not, the tool
    (
        r"(model\.)*0\.conv\.weight|model\.model\.\d+\.(cv\d|m|conv)\..*",
        "a model of ultralytics, which has layers of its own",
    ),
    (r"backbone\.0\.body\..*|transformer\.decoder\.layers\.\d+\.multihead_attn\..*", "DETR (facebookresearch/detr)"),
    (r"transformer\.encoder\.layers\.\d+\.self_attn\.sampling_offsets\.weight", "Deformable DETR or DINO"),
    (r"decoder\.decoder\.lqe_layers\..*|decoder\.decoder\.up", "D-FINE"),
    (r"backbone\.0\.encoder\.encoder\..*|.*\.backbone\.encoder\.layer\.\d+\.attention\..*", "RF-DETR"),
    (r"roi_heads\..*|rpn\.head\..*", "Faster R-CNN or Mask R-CNN of torchvision"),
    (r"bbox_head\..*|neck\.(lateral|fpn)_convs\..*", "mmdetection"),
    (r"head\.classification_head\..*", "RetinaNet or SSD of torchvision"),
    (
        r"fc\.weight|classifier\.(\d+\.)?weight|head\.(fc\.)?weight",
        "a classifier, which `train --backbone` takes",
    ),
)
BY_CLASS = (  # bytes in a pickle that cannot be opened without running code, the tool
    (b"ultralytics.nn", "YOLO of ultralytics"),
    (b"models.yolo", "YOLOv5"),
    (b"rfdetr", "RF-DETR"),
    (b"mmengine", "mmdetection"),
    (b"paddle", "Paddle"),
)


def stranger(names: Iterable[str]) -> str:
    """The tool whose tensors these are; "" when it is none of those known."""
    names = list(names)
    for pattern, tool in BY_TENSOR:
        if any(re.fullmatch(pattern, name) for name in names):
            return tool
    return ""


def stranger_by_name(path: Path) -> str:
    """The tool whose classes are named in a pickle, looked for as bytes: nothing in it is run."""
    with open(path, "rb") as file:
        head = file.read(1 << 20)
    return next((tool for mark, tool in BY_CLASS if mark in head), "")
