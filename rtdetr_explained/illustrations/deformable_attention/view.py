"""Deformable attention: the few points a query reads on three maps, and why each of them lies where it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.illustrations.deformable_attention.points import Chain, by_weight, chain, looked_at
from rtdetr_explained.illustrations.deformable_attention.sampling import by_level, level_of_points, of_layer
from rtdetr_explained.tracing.choice import Choice


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
        """Number of points that lie outside the photo."""
        return int(((self.locations_px < 0) | (self.locations_px > self.image_size)).any(1).sum())

    @property
    def whose(self) -> str:
        """Whose points are shown, in words."""
        heads = f"{len(self.weight_by_head)} heads" if self.selected_head is None else f"head {self.selected_head}"
        return heads if self.selected_level is None else f"{heads} on {LEVEL_NAMES[self.selected_level]}"


def view(choice: Choice) -> DeformableAttentionView:
    """The sampling points of the query in the layer, of one head and level or of all.

    The point whose numbers are written is the chosen one; where none is, or one that is not shown, the heaviest.
    """
    trace, query = choice.trace, choice.query
    weights = of_layer(choice, "weights")[query].astype(np.float32)  # H P
    order, written = by_weight(choice), looked_at(choice)
    shown = np.sort(order)  # n
    heads, points = np.divmod(shown, weights.shape[1])
    level_of = level_of_points(trace)  # P
    level, taken = level_of[points], weights.ravel()[shown]  # n, n
    total = np.array([taken[level == i].sum() for i in range(len(trace.map_sizes))])
    return DeformableAttentionView(
        photo=trace.photo,
        image_size=trace.image_size,
        query=query,
        layer=choice.layer,
        selected_head=choice.head,
        selected_level=choice.level,
        box=choice.rows(f"decoder.layers.{choice.layer}.reference_boxes")[query],
        head=heads,
        level=level,
        point=points - np.searchsorted(level_of, level_of)[points],
        offsets=of_layer(choice, "offsets")[query].astype(np.float32).reshape(-1, 2)[shown],
        locations_px=of_layer(choice, "sampling_locations")[query].reshape(-1, 2)[shown] * np.array(trace.image_size),
        weights=taken,
        weight_by_level=total / max(float(total.sum()), 1e-9),
        weight_by_head=by_level(trace, weights),
        chain=chain(choice),
        heaviest=written == order[0],
    )
