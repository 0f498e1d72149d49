"""Deformable attention: the few points a query reads on three maps, and why each of them lies where it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from PIL import Image

from rtdetr_explained.illustrations.choice import check_choice
from rtdetr_explained.illustrations.colors import LEVEL_NAMES
from rtdetr_explained.illustrations.deformable_attention_drawing import OFFSET_SCALE, drawing
from rtdetr_explained.illustrations.deformable_attention_rebuild import cell_at, is_discrete
from rtdetr_explained.illustrations.marks_matplotlib import draw_matplotlib
from rtdetr_explained.illustrations.marks_plotly import draw_plotly
from rtdetr_explained.tracing.trace import Trace

SENTENCE = (
    "A query does not look at every cell: each head reads a few points on each of the three maps, placed relative to "
    "the query's box, and adds up what it reads by weight."
)
MISREAD = "Weight is not importance: a heavy point may carry little, and only taking it away shows what it contributes."


@dataclass(frozen=True)
class Chain:
    """How one point comes to lie where it does: location = reference + offset × scale × box_size × 0.5.

    `reference`, `box_size` and `location` are (x, y) or (w, h) in 0..1 of the image, `scale` is one over the points of
    the level. `cell` (column, row) is where the point lies on the map of its level, with the centre of a cell at a
    whole number; with discrete sampling it is the cell that is read.
    """

    head: int
    level: int
    point: int
    reference: np.ndarray
    offset: np.ndarray
    scale: float
    box_size: np.ndarray
    location: np.ndarray
    location_px: np.ndarray
    cell: np.ndarray
    map_size: tuple[int, int]
    weight: float


@dataclass(frozen=True)
class DeformableAttentionView:
    """What the figure shows: the points of one query in one layer, of one head or of all.

    `head`, `level` and `point` (n,) tell which point each row is, `point` counted within its level; `offsets` (n, 2)
    are raw, `locations_px` (n, 2) in pixels of the photo, `weights` (n,) sum to one for each head. `box` is the
    reference box, cxcywh in 0..1. `weight_by_level` (3,) is the share of each level in the weight of the points shown;
    `weight_by_head` (H, 3) adds up each head's weights by level, for all heads.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    query: int
    layer: int
    selected_head: int | None
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

    @property
    def heaviest(self) -> int:
        """Row of the point with the greatest weight."""
        return int(self.weights.argmax())

    @property
    def outside(self) -> int:
        """Number of points that lie outside the photo, where the maps hold nothing but zero."""
        return int(((self.locations_px < 0) | (self.locations_px > self.image_size)).any(1).sum())


def view(trace: Trace, query: int = 0, layer: int | None = None, head: int | None = None) -> DeformableAttentionView:
    """The sampling points of one query in one layer (the last by default), of one head or (None) of all.

    Raises InputError when the query, layer or head does not exist.
    """
    trace.query(query)
    layer = check_choice("layer", trace.num_layers - 1 if layer is None else layer, trace.num_layers)
    site = f"decoder.layers.{layer}.cross_attn"
    weights = trace[f"{site}.weights"].array[query].astype(np.float32)  # H P
    locations = trace[f"{site}.sampling_locations"].array[query]  # H P 2
    offsets = trace[f"{site}.offsets"].array[query].astype(np.float32)  # H P 2
    H, P = weights.shape
    num_points = trace.meta["config"]["num_points"]
    level_of = np.repeat(np.arange(len(num_points)), num_points)  # P
    point_of = np.concatenate([np.arange(n) for n in num_points])  # P
    heads = np.arange(H) if head is None else np.array([check_choice("head", head, H)])
    shown = weights[heads]
    by_head = np.stack([weights[:, level_of == level].sum(1) for level in range(len(num_points))], axis=1)  # H 3
    box = trace[f"decoder.layers.{layer}.reference_boxes"].array[query]
    best = np.unravel_index(shown.argmax(), shown.shape)
    h, p = int(heads[best[0]]), int(best[1])
    level = int(level_of[p])
    return DeformableAttentionView(
        photo=trace.photo,
        image_size=trace.image_size,
        query=query,
        layer=layer,
        selected_head=head,
        box=box,
        head=np.repeat(heads, P),
        level=np.tile(level_of, len(heads)),
        point=np.tile(point_of, len(heads)),
        offsets=offsets[heads].reshape(-1, 2),
        locations_px=locations[heads].reshape(-1, 2) * np.array(trace.image_size),
        weights=shown.ravel(),
        weight_by_level=by_head[heads].sum(0) / max(float(shown.sum()), 1e-9),
        weight_by_head=by_head,
        chain=Chain(
            head=h,
            level=level,
            point=int(point_of[p]),
            reference=box[:2],
            offset=offsets[h, p],
            scale=1 / num_points[level],
            box_size=box[2:],
            location=locations[h, p],
            location_px=locations[h, p] * np.array(trace.image_size),
            cell=cell_at(locations[h, p], trace.map_sizes[level], is_discrete(trace)),
            map_size=trace.map_sizes[level],
            weight=float(weights[h, p]),
        ),
    )


def chain_location(chain: Chain) -> np.ndarray:
    """The location (x, y in 0..1) computed from the numbers of the chain; Deformable DETR (2010.04159), eq. 2."""
    return chain.reference + chain.offset * chain.scale * chain.box_size * OFFSET_SCALE


def plotly_figure(view: DeformableAttentionView, theme: str) -> go.Figure:
    """The interactive figure."""
    return draw_plotly(drawing(view, theme), theme)


def matplotlib_figure(view: DeformableAttentionView, theme: str) -> Figure:
    """The figure for export."""
    return draw_matplotlib(drawing(view, theme), theme)


def caption(view: DeformableAttentionView) -> str:
    """One sentence saying what is seen."""
    heads = f"{len(view.weight_by_head)} heads" if view.selected_head is None else f"head {view.selected_head}"
    levels = ", ".join(f"{name} {share:.0%}" for name, share in zip(LEVEL_NAMES, view.weight_by_level, strict=True))
    return (
        f"In layer {view.layer + 1} query {view.query} reads {len(view.weights)} points with {heads}, {view.outside} "
        f"of them outside the photo; their weight lies on {levels}. Weight is not importance."
    )


def alt_text(view: DeformableAttentionView) -> str:
    """The figure in words."""
    return (
        "Sampling points on the photo around the reference box, with colour and shape by level and area by weight; "
        "bars of the weight by level and by head; the numbers that place the heaviest point. " + caption(view)
    )


def table(view: DeformableAttentionView) -> dict[str, list]:
    """All points shown, the heaviest first."""
    order = np.argsort(-view.weights, kind="stable")
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
