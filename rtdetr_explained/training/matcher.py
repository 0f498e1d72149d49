"""Which query shall predict which object: the Hungarian matching of DETR, for all layers and images in one go."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from rtdetr_explained.training.boxes import cxcywh_to_xyxy, overlap

# RT-DETR, table of hyper-parameters: matching weights of class, L1 and GIoU; focal alpha and gamma.
CLASS_COST, L1_COST, GIOU_COST = 2.0, 5.0, 2.0
ALPHA, GAMMA = 0.25, 2.0

Target = dict[str, Tensor]  # "labels": int64 (n,), "boxes": float (n, 4) cxcywh 0..1


class Prediction(NamedTuple):
    """What one layer says about a batch."""

    name: str
    logits: Tensor  # B Q C
    boxes: Tensor  # B Q 4, cxcywh 0..1


class Match(NamedTuple):
    """Pairs of query and object in a batch: three int64 tensors of one length."""

    image: Tensor
    query: Tensor
    target: Tensor  # index into the targets of all images, concatenated


@torch.no_grad()
def match(predictions: Sequence[Prediction], targets: Sequence[Target]) -> list[Match]:
    """Match each layer's queries to the objects of each image, every object once, at the least total cost.

    cost = 2 · class + 5 · L1 + 2 · (−GIoU), one matching per layer and image (RT-DETR section 4, DETR section 3.1).
    A layer whose logits have a single column does not know classes: any label counts as its only class.
    Raises FloatingPointError, naming the layer, when a prediction is NaN or infinite.
    """
    counts = [len(target["labels"]) for target in targets]
    labels, boxes = _pad(targets, max(counts, default=0))  # B G, B G 4
    costs = torch.stack([_cost(prediction, labels, boxes) for prediction in predictions])  # S B Q G
    healthy = torch.stack([p.logits.isfinite().all() & p.boxes.isfinite().all() for p in predictions])  # S
    # One copy to the CPU for everything: on a GPU each copy waits for all the work queued before it.
    packed = torch.cat([healthy.float(), costs.flatten()]).cpu().numpy()
    for prediction, good in zip(predictions, packed[: len(predictions)], strict=True):
        if not good:
            raise FloatingPointError(f"The predictions of part {prediction.name!r} hold NaN or infinite values.")
    matrices = packed[len(predictions) :].reshape(costs.shape)

    first_target = np.cumsum([0, *counts[:-1]])
    pairs = [_assign(layer, counts, first_target) for layer in matrices]  # S of (3, pairs)
    flat = torch.from_numpy(np.concatenate(pairs, axis=1)).to(costs.device)
    return [Match(*part) for part in flat.split([p.shape[1] for p in pairs], dim=1)]


def _cost(prediction: Prediction, labels: Tensor, boxes: Tensor) -> Tensor:
    """Cost (B, Q, G) of giving each object to each query, from padded labels (B, G) and boxes (B, G, 4)."""
    logits = prediction.logits.float()
    if logits.shape[-1] == 1:
        labels = torch.zeros_like(labels)
    at_label = labels[:, None].expand(-1, logits.shape[1], -1)  # B Q G
    # 1e-8 keeps the logarithms finite, as in src/zoo/rtdetr/matcher.py of lyuwenyu/RT-DETR.
    p = logits.sigmoid().gather(-1, at_label)
    positive = ALPHA * (1 - p) ** GAMMA * -(p + 1e-8).log()
    negative = (1 - ALPHA) * p**GAMMA * -(1 - p + 1e-8).log()
    predicted = prediction.boxes.float()
    l1 = torch.cdist(predicted, boxes, p=1)
    _, giou = overlap(cxcywh_to_xyxy(predicted)[:, :, None], cxcywh_to_xyxy(boxes)[:, None])
    return CLASS_COST * (positive - negative) + L1_COST * l1 - GIOU_COST * giou


def _pad(targets: Sequence[Target], length: int) -> tuple[Tensor, Tensor]:
    """Labels (B, G) and boxes (B, G, 4) of all images, filled up to one length; the filling is never matched."""
    device = targets[0]["boxes"].device
    labels = torch.zeros(len(targets), length, dtype=torch.int64, device=device)
    boxes = torch.full((len(targets), length, 4), 0.5, device=device)
    for row, target in enumerate(targets):
        labels[row, : len(target["labels"])] = target["labels"]
        boxes[row, : len(target["labels"])] = target["boxes"].float()
    return labels, boxes


def _assign(costs: np.ndarray, counts: Sequence[int], first_target: np.ndarray) -> np.ndarray:
    """Solve one layer's costs (B, Q, G) image by image: int64 (3, pairs) with rows image, query, target."""
    rows = []
    for image, count in enumerate(counts):
        query, target = linear_sum_assignment(costs[image, :, :count])
        rows.append(np.stack([np.full_like(query, image), query, target + first_target[image]]))
    return np.concatenate(rows, axis=1).astype(np.int64)
