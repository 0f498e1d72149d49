"""How good a detector is on generated scenes that no training has seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from rtdetr_explained.data.shapes import SceneConfig, generate_scene
from rtdetr_explained.evaluation.coco import Objects, coco_metrics
from rtdetr_explained.model.postprocess import postprocess
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.training.boxes import cxcywh_to_xyxy


@torch.inference_mode()
def evaluate_shapes(model: RTDETR, seeds: Sequence[int], size: tuple[int, int], batch: int) -> dict[str, Any]:
    """COCO metrics of a model in eval mode on the scenes of these seeds, at size (height, width) in pixels."""
    device = next(model.parameters()).device
    height, width = size
    detections: list[Objects] = []
    targets: list[Objects] = []
    for start in range(0, len(seeds), batch):
        scenes = [generate_scene(seed, SceneConfig(size=size)) for seed in seeds[start : start + batch]]
        images = torch.from_numpy(np.stack([scene.image for scene in scenes])).to(device).permute(0, 3, 1, 2) / 255
        for found in postprocess(model(images), [(width, height)] * len(scenes)):
            columns = {"scores": found["scores"], "labels": found["labels"], "boxes": found["boxes_px"]}
            detections.append({name: column.cpu().numpy() for name, column in columns.items()})
        for scene in scenes:
            corners = cxcywh_to_xyxy(torch.from_numpy(scene.boxes)) * torch.tensor([width, height, width, height])
            targets.append({"labels": scene.labels, "boxes": corners.numpy()})
    return coco_metrics(detections, targets, model.config.class_names)
