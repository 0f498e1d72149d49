"""Decoder: how one query's box and score change from layer to layer, and which queries it listens to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.drawing.colors import Theme
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.illustrations.choice import check_choice
from rtdetr_explained.illustrations.decoder.figure import drawing
from rtdetr_explained.illustrations.decoder.trajectory import derived_steps, step_scores
from rtdetr_explained.tracing.trace import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINKS = 8  # attended queries that are drawn


@dataclass(frozen=True)
class DecoderView:
    """What the figure shows. Boxes are cxcywh in 0..1 of the image; L layers, Q queries.

    `boxes` (L+1, 4) are the first reference box of the query and its box after each layer; `scores` (L+1,) the
    probability of its final class, first by the encoder's head, then by the layers' heads; `derived` tells which of
    them were computed after the pass. `attention` (Q,) is the weight the query gives to every query in `layer`, by one
    head or as the mean of all; `points` (Q, 2) are the centres of the boxes the queries hold there. `linked` are the
    queries it attends to most, itself left out. `compared_boxes` and `compared_scores` are those of the query
    `compare`, the probability that of the class it ends as.
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


def view(
    trace: Trace,
    query: int = 0,
    layer: int | None = None,
    head: int | None = None,
    threshold: float = 0.5,
    compare: int | None = None,
) -> DecoderView:
    """One query's way through the decoder, and its self-attention in one layer (the last by default).

    `head` None takes the mean over the heads; `compare` is a second query, shown beside it. Raises InputError when a
    query, layer or head does not exist.
    """
    path = trace.query(query)
    layer = check_choice("layer", trace.num_layers - 1 if layer is None else layer, trace.num_layers)
    if compare is not None:
        check_choice("query", compare, len(trace.logits))
    attention = attention_of(trace, layer, query, head)
    order = np.argsort(-attention, kind="stable")
    scores = step_scores(trace)
    return DecoderView(
        photo=trace.photo,
        image_size=trace.image_size,
        query=query,
        compare=compare,
        layer=layer,
        head=head,
        num_heads=trace.meta["config"]["num_heads"],
        threshold=threshold,
        class_name=trace.class_names[path.label],
        boxes=path.reference_boxes,
        scores=scores[:, query],
        derived=derived_steps(trace),
        compared_boxes=None if compare is None else trace.query(compare).reference_boxes,
        compared_scores=None if compare is None else scores[:, compare],
        final_boxes=trace.boxes,
        final_scores=trace.scores,
        final_names=tuple(trace.class_names[label] for label in trace.labels),
        attention=attention,
        points=trace[f"decoder.layers.{layer}.reference_boxes"].array[:, :2],
        linked=order[order != query][:LINKS],
    )


def attention_of(trace: Trace, layer: int, query: int, head: int | None = None) -> np.ndarray:
    """(Q,) the share of its self-attention that a query gives to each query in a layer, by a head or in the mean."""
    weights = trace[f"decoder.layers.{layer}.self_attn.weights"].array  # H Q Q
    check_choice("query", query, len(trace.logits))
    if head is None:
        return weights[:, query].astype(np.float32).mean(0)
    return weights[check_choice("head", head, len(weights)), query].astype(np.float32)


def plotly_figure(view: DecoderView, theme: Theme) -> go.Figure:
    """The interactive figure."""
    return to_plotly(drawing(view, theme), theme)


def matplotlib_figure(view: DecoderView, theme: Theme) -> Figure:
    """The figure for export."""
    return to_matplotlib(drawing(view, theme), theme)


def caption(view: DecoderView) -> str:
    """One sentence saying what is seen."""
    moved = cxcywh_to_xyxy_px(view.boxes, view.image_size)
    step = np.abs(moved[-1] - moved[0]).max()
    heads = f"the mean of {view.num_heads} heads" if view.head is None else f"head {view.head}"
    return (
        f"Query {view.query} ends as “{view.class_name}” with {view.scores[-1]:.2f} after its edges moved by up to "
        f"{step:.0f} px; in layer {view.layer + 1} ({heads}) it gives {view.attention[view.query]:.0%} of its "
        f"self-attention to itself and {view.attention[view.linked].sum():.0%} to the {len(view.linked)} queries "
        "linked."
    )


def alt_text(view: DecoderView) -> str:
    """The figure in words."""
    return (
        f"The photo with the final boxes of all queries and links from query {view.query} to those it attends to; "
        "an enlarged part with its box after each layer; its score by layer; the heaviest attention weights as bars. "
        + caption(view)
    )


def table(view: DecoderView) -> dict[str, list]:
    """The query's box in pixels and its score, step by step."""
    x0, y0, x1, y1 = cxcywh_to_xyxy_px(view.boxes, view.image_size).astype(float).round(1).T.tolist()
    scores = [round(float(score), 4) for score in view.scores]
    origin = ["derived" if derived else "traced" for derived in view.derived]
    return {
        "step": list(view.steps),
        "x0 px": x0,
        "y0 px": y0,
        "x1 px": x1,
        "y1 px": y1,
        "score": scores,
        "origin": origin,
    }
