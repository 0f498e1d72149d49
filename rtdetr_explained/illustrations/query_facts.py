"""One query in numbers: what it found, where it came from, and its way through the layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.tracing.choice import Choice, Unit


@dataclass(frozen=True)
class LayerFacts:
    """A query after one decoder layer: its best class and score, and how far its centre moved in that layer."""

    layer: int
    name: str
    score: float
    moved: float


@dataclass(frozen=True)
class QueryFacts:
    """The final class, score and box of a query, the cell it came from, and each layer it went through.

    Lengths and positions are in pixels of the photo where `unit` is "px", else in 0..1 of its width and height.
    """

    index: int
    unit: Unit
    name: str
    score: float
    center: tuple[float, float]
    size: tuple[float, float]
    level: str
    stride: int
    row: int
    col: int
    token: int
    layers: tuple[LayerFacts, ...]


def view(choice: Choice) -> QueryFacts:
    """Read them from the trace."""
    trace, path = choice.trace, choice.path
    scale = trace.image_size if choice.unit == "px" else (1, 1)
    cx, cy, w, h = (path.box * np.tile(scale, 2)).tolist()
    moves = np.linalg.norm(np.diff(path.reference_boxes[:, :2] * scale, axis=0), axis=1).tolist()
    best = path.layer_scores.argmax(axis=1)
    layers = tuple(
        LayerFacts(layer, trace.class_names[best[layer]], float(path.layer_scores[layer, best[layer]]), moved)
        for layer, moved in enumerate(moves)
    )
    _, columns = trace.map_sizes[path.level]
    return QueryFacts(
        index=path.index,
        unit=choice.unit,
        name=trace.class_names[path.label],
        score=path.score,
        center=(cx, cy),
        size=(w, h),
        level=LEVEL_NAMES[path.level],
        stride=round(trace.input_size[1] / columns),
        row=path.row,
        col=path.col,
        token=path.token,
        layers=layers,
    )
