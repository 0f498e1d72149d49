"""Deformable attention: the few points a query reads on three maps, and why each of them lies where it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from rtdetr_explained.drawing.colors import LEVEL_NAMES, Theme
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.illustrations.choice import check_choice
from rtdetr_explained.illustrations.deformable_attention.figure import drawing
from rtdetr_explained.illustrations.deformable_attention.points import (
    Chain,
    by_weight,
    level_of_points,
    looked_at,
    place,
    weight_steps,
)
from rtdetr_explained.tracing.trace import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class DeformableAttentionView:
    """What the figure shows: the points of one query in one layer, of one head and level or of all.

    `head`, `level` and `point` (n,) tell which point each row is, `point` counted within its level; `offsets` (n, 2)
    are raw, `locations_px` (n, 2) in pixels of the photo, `weights` (n,) sum to one for each head. `box` is the
    reference box, cxcywh in 0..1. `weight_by_level` (3,) is the share of each level in the weight of the points shown;
    `weight_by_head` (H, 3) adds up each head's weights by level, for all heads. `chain` has the numbers of one point,
    and `heaviest` tells whether that is the heaviest of those shown.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    query: int
    layer: int
    selected_head: int | None
    selected_level: int | None
    box: np.ndarray
    head: np.ndarray
    level: np.ndarray
    point: np.ndarray
    offsets: np.ndarray
    locations_px: np.ndarray
    weights: np.ndarray
    weight_by_level: np.ndarray
    weight_by_head: np.ndarray
    chain: Chain
    heaviest: bool

    @property
    def outside(self) -> int:
        """Number of points that lie outside the photo, where the maps hold nothing but zero."""
        return int(((self.locations_px < 0) | (self.locations_px > self.image_size)).any(1).sum())


def view(
    trace: Trace,
    query: int = 0,
    layer: int | None = None,
    head: int | None = None,
    level: int | None = None,
    point: int | None = None,
) -> DeformableAttentionView:
    """The sampling points of one query in one layer (the last by default), of one head and level or (None) of all.

    `point` is the one whose numbers are written, counted over heads, then levels, then points; where it is None or not
    among those shown, it is the heaviest of them. Raises InputError when the query, layer, head, level or point does
    not exist.
    """
    trace.query(query)
    layer = check_choice("layer", trace.num_layers - 1 if layer is None else layer, trace.num_layers)
    site = f"decoder.layers.{layer}.cross_attn"
    weights = trace[f"{site}.weights"].array[query].astype(np.float32)  # H P
    H, P = weights.shape
    head = head if head is None else check_choice("head", head, H)
    level = level if level is None else check_choice("level", level, len(trace.map_sizes))
    point = point if point is None else check_choice("point", point, H * P)
    order = by_weight(trace, query, layer, head, level)
    chosen = looked_at(order, point)
    shown = np.sort(order)  # n
    heads, points = np.divmod(shown, P)
    level_of = level_of_points(trace)  # P
    by_head = np.stack([weights[:, level_of == i].sum(1) for i in range(len(trace.map_sizes))], axis=1)  # H 3
    by_level = np.array([weights.ravel()[shown][level_of[points] == i].sum() for i in range(len(trace.map_sizes))])
    return DeformableAttentionView(
        photo=trace.photo,
        image_size=trace.image_size,
        query=query,
        layer=layer,
        selected_head=head,
        selected_level=level,
        box=trace[f"decoder.layers.{layer}.reference_boxes"].array[query],
        head=heads,
        level=level_of[points],
        point=points - np.searchsorted(level_of, level_of)[points],
        offsets=trace[f"{site}.offsets"].array[query].astype(np.float32).reshape(-1, 2)[shown],
        locations_px=trace[f"{site}.sampling_locations"].array[query].reshape(-1, 2)[shown]
        * np.array(trace.image_size),
        weights=weights.ravel()[shown],
        weight_by_level=by_level / max(float(by_level.sum()), 1e-9),
        weight_by_head=by_head,
        chain=place(trace, query, layer, chosen),
        heaviest=chosen == order[0],
    )


def plotly_figure(view: DeformableAttentionView, theme: Theme) -> go.Figure:
    """The interactive figure."""
    return to_plotly(drawing(view, theme), theme)


def matplotlib_figure(view: DeformableAttentionView, theme: Theme) -> Figure:
    """The figure for export."""
    return to_matplotlib(drawing(view, theme), theme)


def caption(view: DeformableAttentionView) -> str:
    """One sentence saying what is seen."""
    heads = heads_and_level(view)
    levels = ", ".join(f"{name} {share:.0%}" for name, share in zip(LEVEL_NAMES, view.weight_by_level, strict=True))
    return (
        f"In layer {view.layer + 1} query {view.query} reads {len(view.weights)} points with {heads}, {view.outside} "
        f"of them outside the photo; their weight lies on {levels}. Weight is not importance."
    )


def heads_and_level(view: DeformableAttentionView) -> str:
    """Whose points are shown, in words."""
    heads = f"{len(view.weight_by_head)} heads" if view.selected_head is None else f"head {view.selected_head}"
    return heads if view.selected_level is None else f"{heads} on {LEVEL_NAMES[view.selected_level]}"


def alt_text(view: DeformableAttentionView) -> str:
    """The figure in words."""
    return (
        "Sampling points on the photo around the reference box, with colour and shape by level and area by weight; "
        "bars of the weight by level and by head; the numbers that place one point. " + caption(view)
    )


def table(view: DeformableAttentionView) -> dict[str, list]:
    """All points shown, the heaviest first."""
    order = np.argsort(-weight_steps(view.weights), kind="stable")
    return {
        "head": view.head[order].tolist(),
        "level": [LEVEL_NAMES[level] for level in view.level[order]],
        "point": view.point[order].tolist(),
        "offset x": view.offsets[order, 0].astype(float).round(3).tolist(),
        "offset y": view.offsets[order, 1].astype(float).round(3).tolist(),
        "x px": view.locations_px[order, 0].astype(float).round(1).tolist(),
        "y px": view.locations_px[order, 1].astype(float).round(1).tolist(),
        "weight": view.weights[order].astype(float).round(4).tolist(),
    }
