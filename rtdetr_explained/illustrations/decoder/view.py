"""Decoder: how one query's box and score change from layer to layer, and which queries it listens to, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rtdetr_explained.illustrations.decoder.trajectory import derived_steps, step_boxes, step_scores
from rtdetr_explained.tracing.choice import Choice

LINKS = 8  # attended queries that are drawn


@dataclass(frozen=True)
class DecoderView:
    """What the figure shows. Boxes are cxcywh in 0..1 of the image; L layers, Q queries.

    `boxes` (L+1, 4) are the first reference box of the query and its box after each layer; `scores` (L+1,) those of
    its final class, first by the encoder's head, then by the layers' heads; `derived` tells which of them were
    computed after the pass. `attention` (Q,) is the weight the query gives to every query in `layer`, by one head or
    as the mean of all; `points` (Q, 2) are the centres of the boxes the queries hold there. `linked` are the queries
    it attends to most, itself left out. `compared_boxes` and `compared_scores` are those of the query `compare`, the
    score that of the class it ends as.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    query: int
    compare: int | None
    layer: int
    head: int | None
    num_heads: int
    threshold: float
    class_name: str
    boxes: np.ndarray
    scores: np.ndarray
    derived: np.ndarray
    compared_boxes: np.ndarray | None
    compared_scores: np.ndarray | None
    final_boxes: np.ndarray
    final_scores: np.ndarray
    final_names: tuple[str, ...]
    attention: np.ndarray
    points: np.ndarray
    linked: np.ndarray

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the query's boxes, in order."""
        layers = [f"layer {i}" for i in range(1, len(self.boxes))]
        return ("first", *layers[:-1], f"{layers[-1]} (final)")

    @property
    def to_itself(self) -> float:
        """The share of its self-attention that the query keeps."""
        return float(self.attention[self.query])

    @property
    def to_linked(self) -> float:
        """The share that the linked queries get together."""
        return float(self.attention[self.linked].sum())

    @property
    def to_others(self) -> float:
        """What is left for all others together."""
        return max(0.0, 1 - self.to_itself - self.to_linked)


def view(choice: Choice) -> DecoderView:
    """The query's way through the decoder, and its self-attention in the chosen layer."""
    trace, query, compare = choice.trace, choice.query, choice.compare
    attention = attention_of(choice, choice.layer)
    order = np.argsort(-attention, kind="stable")
    boxes, scores = step_boxes(choice), step_scores(choice)
    return DecoderView(
        photo=trace.photo,
        image_size=trace.image_size,
        query=query,
        compare=compare,
        layer=choice.layer,
        head=choice.head,
        num_heads=choice.config["num_heads"],
        threshold=choice.threshold,
        class_name=trace.class_names[trace.labels[query]],
        boxes=boxes[:, query],
        scores=scores[:, query],
        derived=derived_steps(trace),
        compared_boxes=None if compare is None else boxes[:, compare],
        compared_scores=None if compare is None else scores[:, compare],
        final_boxes=trace.boxes,
        final_scores=trace.scores,
        final_names=tuple(trace.class_names[label] for label in trace.labels),
        attention=attention,
        points=choice.rows(f"decoder.layers.{choice.layer}.reference_boxes")[:, :2],
        linked=order[order != query][:LINKS],
    )


def attention_of(choice: Choice, layer: int) -> np.ndarray:
    """(Q,) the share of its self-attention that the query gives to each query in a layer, by a head or in the mean."""
    weights = choice.rows(f"decoder.layers.{layer}.self_attn.weights")[:, choice.query].astype(np.float32)  # H Q
    return weights.mean(0) if choice.head is None else weights[choice.head]
