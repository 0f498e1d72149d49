"""How good a detector is on generated scenes that no training has seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.evaluation.coco import Objects, coco_metrics
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.boxes import cxcywh_to_xyxy


@torch.inference_mode()
def evaluate_shapes(model: RTDETR, seeds: Sequence[int], size: tuple[int, int], batch: int) -> dict[str, Any]:
    """COCO metrics of a model in eval mode on the scenes of these seeds, at size (height, width) in pixels."""
    device = next(model.parameters()).device
    scale = np.array([size[1], size[0]] * 2, dtype=np.float32)
    detections: list[Objects] = []
    targets: list[Objects] = []
    for start in range(0, len(seeds), batch):
        scenes = [generate_scene(seed, SceneConfig(size=size)) for seed in seeds[start : start + batch]]
        images = torch.from_numpy(np.stack([scene.image for scene in scenes])).to(device).permute(0, 3, 1, 2) / 255
        outputs = model(images)
        detections += detected_objects(outputs["pred_logits"], outputs["pred_boxes"], scale)
        for scene in scenes:
            corners = cxcywh_to_xyxy(torch.from_numpy(scene.boxes)).numpy() * scale
            targets.append({"labels": scene.labels, "boxes": corners})
    return coco_metrics(detections, targets, model.config.class_names)


def detected_objects(logits: Tensor, boxes: Tensor, scale: np.ndarray) -> list[Objects]:
    """The best (query, class) pairs of each image, as many as queries; logits (B, Q, C), boxes (B, Q, 4) cxcywh 0..1.

    One query can give several objects of different classes. `scale` is (width, height, width, height) in pixels.
    """
    queries, classes = logits.shape[1:]
    scores, pairs = logits.float().sigmoid().flatten(1).topk(queries, dim=1)  # B Q
    chosen = cxcywh_to_xyxy(boxes.float()).gather(1, (pairs // classes)[..., None].expand(-1, -1, 4))  # B Q 4
    columns = scores.cpu().numpy(), (pairs % classes).cpu().numpy(), chosen.cpu().numpy() * scale
    return [{"scores": s, "labels": c, "boxes": b} for s, c, b in zip(*columns, strict=True)]
