"""Box arithmetic on NumPy arrays, for everybody who does not train (`training/boxes.py` does it with gradients)."""

import numpy as np


def cxcywh_to_xyxy(boxes: np.ndarray) -> np.ndarray:
    """(..., 4) centre and size to x0 y0 x1 y1, in the same unit."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([center - half, center + half], axis=-1)


def xyxy_to_cxcywh(corners: np.ndarray) -> np.ndarray:
    """(..., 4) x0 y0 x1 y1 to centre and size, in the same unit."""
    low, high = corners[..., :2], corners[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1)


def cxcywh_to_xyxy_px(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """(..., 4) boxes cxcywh in 0..1 to x0 y0 x1 y1 in pixels of an image of (width, height)."""
    return cxcywh_to_xyxy(boxes) * np.tile(image_size, 2)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes `a` and `b`, both (..., 4) x0 y0 x1 y1 and broadcast against each other.

    Boxes without area overlap with nothing, not even with themselves: 0.
    """
    shared = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return np.divide(shared, union, out=np.zeros(np.shape(union), np.result_type(union, np.float32)), where=union > 0)
