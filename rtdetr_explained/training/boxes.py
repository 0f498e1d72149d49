"""Boxes: from centre and size to corners, and how well two of them overlap."""

import torch
from torch import Tensor


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Centre and size to corners: (..., 4) to (..., 4), any unit."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of boxes `a` and `b`, both (..., 4) xyxy and broadcast against each other.

    Pairs: `overlap(a, b)`. Every a with every b: `overlap(a[:, None], b)`. Both results have the broadcast shape
    without the last axis. GIoU = IoU − (hull − union) / hull, where hull is the smallest box around both
    (Rezatofighi et al., CVPR 2019); it lies in (−1, 1] and has a gradient where the boxes do not touch.
    """
    area_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    area_b = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    outer = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    intersection, hull = inner.prod(-1), outer.prod(-1)
    union = area_a + area_b - intersection
    iou = intersection / union
    return iou, iou - (hull - union) / hull
