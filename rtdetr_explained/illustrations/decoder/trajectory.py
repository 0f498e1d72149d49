"""How queries change from layer to layer: boxes in pixels, the score of what they end as, and how far they move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.trace import Trace, sigmoid

LEAST_SIDE = 1e-4  # of a box in 0..1: a side that shrank to nothing has no ratio


@dataclass(frozen=True)
class Trajectory:
    """One query through the L layers; step 0 is its first box, step i its box after layer i.

    `boxes_px` (L+1, 4) are x0 y0 x1 y1. `scores` (L+1,) are those of the class the query ends as; `derived`
    (L+1,) tells which of them the model itself does not compute. `best_names` and `best_scores` are the best class at
    each step. `growth` (L,) is the factor by which the box's size √(w·h) changed in each layer.
    """

    query: int
    name: str
    boxes_px: np.ndarray
    scores: np.ndarray
    derived: np.ndarray
    best_names: tuple[str, ...]
    best_scores: np.ndarray
    growth: np.ndarray


def trajectory(choice: Choice) -> Trajectory:
    """The chosen query through all layers."""
    trace, query = choice.trace, choice.query
    first = first_scores(trace)[query]
    layers = trace.derived.layer_scores[:, query - len(trace.logits)]
    best = layers.argmax(-1)
    known = len(first) == len(trace.class_names)
    return Trajectory(
        query=query,
        name=trace.class_names[trace.labels[query]],
        boxes_px=cxcywh_to_xyxy_px(step_boxes(choice)[:, query], trace.image_size),
        scores=step_scores(choice)[:, query],
        derived=derived_steps(trace),
        best_names=(
            trace.class_names[first.argmax()] if known else "object",
            *(trace.class_names[label] for label in best),
        ),
        best_scores=np.array([first.max(), *layers[:-1].max(-1), trace.scores[query]], np.float32),
        growth=2 ** size_changes(choice)[:, query],
    )


def step_boxes(choice: Choice) -> np.ndarray:
    """(L+1, Q, 4) boxes cxcywh in 0..1 of the image: the first ones, then those after each layer."""
    layers = [choice.rows(f"decoder.layers.{i}.boxes") for i in range(choice.trace.num_layers)]
    return np.stack([choice.rows("query_selection.reference_boxes"), *layers])


def step_scores(choice: Choice) -> np.ndarray:
    """(L+1, Q) score of the class each query ends as: by the encoder's head, then by each layer's own."""
    trace = choice.trace
    queries, labels = np.arange(len(trace.logits)), trace.labels
    first = first_scores(trace)
    known = first.shape[1] == len(trace.class_names)
    layers = trace.derived.layer_scores[:-1, -len(queries) :]
    return np.stack([first[queries, labels if known else 0], *layers[:, queries, labels], trace.scores]).astype(
        np.float32
    )


def derived_steps(trace: Trace) -> np.ndarray:
    """(L+1,) whether the scores of a step were computed after the pass: all but the first and the last."""
    last = trace.num_layers
    return np.array([0 < step < last for step in range(last + 1)])


def moves_px(choice: Choice) -> np.ndarray:
    """(L, Q) distance in pixels of the photo that each box's centre went in each layer."""
    centres = step_boxes(choice)[..., :2].astype(np.float64) * choice.trace.image_size
    return np.linalg.norm(np.diff(centres, axis=0), axis=-1)


def size_changes(choice: Choice) -> np.ndarray:
    """(L, Q) log2 of the factor by which each box's size √(w·h) changed in each layer."""
    sides = np.log2(np.maximum(step_boxes(choice)[..., 2:].astype(np.float64), LEAST_SIDE))
    return np.diff(sides.mean(-1), axis=0)


def first_scores(trace: Trace) -> np.ndarray:
    """(Q, C) class scores of the tokens the queries come from; C is 1 where the encoder knows no class."""
    return sigmoid(trace["query_selection.class_logits"].array[trace.token_indices])
