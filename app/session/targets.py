"""The objects that denoising starts from, which are known only where the image was drawn by this project."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.session import images
from app.session.view import ViewState
from rtdetr_explained.data.shapes import SHAPE_CLASSES
from rtdetr_explained.tracing.trace import Trace


@dataclass(frozen=True)
class Targets:
    """The objects that denoising starts from: classes, and boxes cxcywh in 0..1, with a sentence on their origin.

    They are `true` objects or stand-ins, which depend on the score threshold.
    """

    labels: tuple[int, ...]
    boxes: tuple[tuple[float, ...], ...]
    true: bool
    origin: str


def targets_of(view: ViewState, trace: Trace) -> Targets:
    """True objects where they are known and the model has their classes, else its own detections in their place."""
    if images.kind(view.image) == "scene" and trace.class_names == SHAPE_CLASSES:
        scene = images.scene(view.image)
        boxes = tuple(map(tuple, scene.boxes.tolist()))
        return Targets(tuple(scene.labels.tolist()), boxes, True, "The targets are the scene's true boxes and classes.")
    why = "This image has no annotations" if images.is_photograph(view.image) else "This model does not know shapes"
    found = trace.detections(view.threshold)[: trace.meta["config"]["num_denoising"]]
    if found:
        queries, labels = [d.query for d in found], tuple(d.label for d in found)
        which = f"its {len(found)} best detections above {view.threshold:.2f}"
    else:
        queries = np.argsort(-trace.scores, kind="stable")[:3].tolist()
        labels = tuple(int(trace.labels[q]) for q in queries)
        which = f"its three best queries (no detection is above {view.threshold:.2f})"
    boxes = tuple(tuple(np.clip(trace.boxes[q], 0, 1).tolist()) for q in queries)
    return Targets(labels, boxes, False, f"{why}, so the model takes {which} as stand-in targets.")
