"""One sampling point in numbers: how it comes to lie where it does, what it reads there, and what becomes of that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.drawing.text import number
from rtdetr_explained.illustrations.choice import check_choice
from rtdetr_explained.illustrations.deformable_attention.proof import cell_at, cells_read, is_discrete, read_points
from rtdetr_explained.tracing.results import Reading
from rtdetr_explained.tracing.trace import Trace

OFFSET_SCALE = 0.5  # the model's own constant, repeated so that drawing a saved trace does not load torch
WEIGHT_STEPS = 10_000  # of a weight of one: weights are compared and written with four decimals


@dataclass(frozen=True)
class Chain:
    """How one point comes to lie where it does: location = reference + offset × scale × box_size × 0.5.

    `reference`, `box_size` and `location` are (x, y) or (w, h) in 0..1 of the image, `scale` is one over the points of
    the level. `cell` (column, row) is where the point lies on the map of its level, with the centre of a cell at a
    whole number; with discrete sampling it is the cell that is read. `point` counts within its level.
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
class PointRead:
    """A point with what it reads.

    `flat` counts points over heads, then levels, then points; `rank` is its place by weight among `order`, the points
    it is compared with. `cells` (n, 2; column, row) are read with the shares `shares` (n,), which are zero outside the
    map, and hold values of the lengths `lengths` (n,). `value` (d,) is what is read in all, `head_sum` (d,) the sum of
    weight × value over the points of the head.
    """

    query: int
    layer: int
    image_size: tuple[int, int]
    discrete: bool
    flat: int
    order: np.ndarray
    chain: Chain
    cells: np.ndarray
    shares: np.ndarray
    lengths: np.ndarray
    value: np.ndarray
    head_sum: np.ndarray

    @property
    def rank(self) -> int:
        """Place among the points it is compared with, from 0 for the heaviest."""
        return int(np.flatnonzero(self.order == self.flat)[0])

    @property
    def heavier(self) -> int | None:
        """The next heavier point."""
        return int(self.order[self.rank - 1]) if self.rank else None

    @property
    def lighter(self) -> int | None:
        """The next lighter point."""
        return int(self.order[self.rank + 1]) if self.rank + 1 < len(self.order) else None

    @property
    def share_of_head(self) -> float:
        """The point's part in its head's sum: A v·s / s·s, derived. The parts of a head's points sum to one."""
        length = float(self.head_sum @ self.head_sum)
        return self.chain.weight * float(self.value @ self.head_sum) / length if length else 0.0


def by_weight(trace: Trace, query: int, layer: int, head: int | None = None, level: int | None = None) -> np.ndarray:
    """The query's points as flat indices, the heaviest first; of one head or level only, where that is given.

    Weights that are the same with four decimals are equal, and their points stay in the order of their indices: so the
    order fits the numbers that are written, and a browser, which is sent no more than these, finds the same.
    """
    weights = trace[f"decoder.layers.{layer}.cross_attn.weights"].array[query]  # H P
    heads, points = np.indices(weights.shape)
    levels = level_of_points(trace)[points]
    shown = ((head is None) | (heads == head)) & ((level is None) | (levels == level))
    flat = np.flatnonzero(shown)
    return flat[np.argsort(-weight_steps(weights.ravel()[flat]), kind="stable")]


def weight_steps(weights: np.ndarray) -> np.ndarray:
    """Weights in whole ten-thousandths."""
    return np.rint(weights.astype(np.float64) * WEIGHT_STEPS).astype(np.int32)


def looked_at(order: np.ndarray, point: int | None) -> int:
    """The chosen point where it is one of those that are shown, else the heaviest of them."""
    return int(order[0]) if point is None or point not in order else point


def level_of_points(trace: Trace) -> np.ndarray:
    """The level of each point of a head (P,)."""
    num_points = trace.meta["config"]["num_points"]
    return np.repeat(np.arange(len(num_points)), num_points)


def place(trace: Trace, query: int, layer: int, flat: int, offset: np.ndarray | None = None) -> Chain:
    """The chain of one point. `offset` is the exact raw one, where the trace keeps it in half precision only."""
    site = f"decoder.layers.{layer}.cross_attn"
    H, P, _ = trace[f"{site}.sampling_locations"].shape[1:]
    head, p = divmod(check_choice("point", flat, H * P), P)
    num_points = trace.meta["config"]["num_points"]
    level = int(level_of_points(trace)[p])
    box = trace[f"decoder.layers.{layer}.reference_boxes"].array[query]
    location = trace[f"{site}.sampling_locations"].array[query, head, p]
    kept = trace[f"{site}.offsets"].array[query, head, p].astype(np.float32) if offset is None else offset
    return Chain(
        head=head,
        level=level,
        point=p - sum(num_points[:level]),
        reference=box[:2],
        offset=kept,
        scale=1 / num_points[level],
        box_size=box[2:],
        location=location,
        location_px=location * np.array(trace.image_size),
        cell=cell_at(location, trace.map_sizes[level], is_discrete(trace)),
        map_size=trace.map_sizes[level],
        weight=float(trace[f"{site}.weights"].array[query, head, p]),
    )


def chain_location(chain: Chain) -> np.ndarray:
    """The location (x, y in 0..1) computed from the numbers of the chain; Deformable DETR (2010.04159), eq. 2."""
    return chain.reference + chain.offset * chain.scale * chain.box_size * OFFSET_SCALE


def point_read(
    trace: Trace, reading: Reading, query: int, point: int | None, head: int | None = None, level: int | None = None
) -> PointRead:
    """One point of a query in the layer that was read, among the points of one head or level; see `looked_at`.

    Raises InputError when the query or the point does not exist.
    """
    trace.query(query)
    site = f"decoder.layers.{reading.layer}.cross_attn"
    weights = trace[f"{site}.weights"].array[query]  # H P
    order = by_weight(trace, query, reading.layer, head, level)
    flat = looked_at(order, point if point is None else check_choice("point", point, weights.size))
    h, p = divmod(flat, weights.shape[1])
    chain = place(trace, query, reading.layer, flat, reading.offsets[query, h, p])
    discrete = is_discrete(trace)
    cells, shares = cells_read(chain.location, chain.map_size, discrete)
    values = reading.value[tokens_at(trace, chain.level, cells), h]  # n d
    read = read_points(trace, reading.value, trace[f"{site}.sampling_locations"].array[query][None])[0, h]  # P d
    return PointRead(
        query=query,
        layer=reading.layer,
        image_size=trace.image_size,
        discrete=discrete,
        flat=flat,
        order=order,
        chain=chain,
        cells=cells,
        shares=shares,
        lengths=np.linalg.norm(values, axis=-1),
        value=read[p],
        head_sum=weights[h] @ read,
    )


def tokens_at(trace: Trace, level: int, cells: np.ndarray) -> np.ndarray:
    """The tokens of cells (…, 2; column, row) of a level; the nearest one for cells outside the map."""
    h, w = trace.map_sizes[level]
    start = sum(rows * columns for rows, columns in trace.map_sizes[:level])
    return start + cells[..., 1].clip(0, h - 1) * w + cells[..., 0].clip(0, w - 1)


def name_of(chain: Chain) -> str:
    """Head, level and point in words."""
    return f"head {chain.head}, {LEVEL_NAMES[chain.level]}, point {chain.point}"


def way(read: PointRead, unit: str) -> list[tuple[str, str, str]]:
    """The way to the location, step by step: name, x, y. `unit` is "px" of the photo or "image" for 0..1."""
    chain = read.chain
    size = np.array(read.image_size) if unit == "px" else np.ones(2)
    digits = ".1f" if unit == "px" else ".4f"
    shift = chain.offset * chain.scale * chain.box_size * OFFSET_SCALE
    h, w = chain.map_size
    rows = [
        ("reference point p̂", chain.reference * size, digits),
        ("raw offset Δp", chain.offset, "+.3f"),
        (f"× 1 / {round(1 / chain.scale)} points of {LEVEL_NAMES[chain.level]}", (chain.scale, chain.scale), ".3f"),
        ("× box width, height", chain.box_size * size, digits),
        ("× constant", (OFFSET_SCALE, OFFSET_SCALE), ".1f"),
        ("= shift", shift * size, "+" + digits),
        ("location p̂ + shift", chain.location * size, digits),
        (f"{'cell' if read.discrete else 'place'} on {LEVEL_NAMES[chain.level]}, {w} × {h} cells", chain.cell, ".2f"),
    ]
    return [(name, signed(values[0], form), signed(values[1], form)) for name, values, form in rows]


def signed(value: float, form: str) -> str:
    """The number with a true minus sign."""
    return format(float(value), form).replace("-", "−")


def rest(read: PointRead) -> list[tuple[str, str]]:
    """What becomes of the value that was read: name and number."""
    chain, part = read.chain, read.share_of_head
    return [
        (f"value read v, length of {len(read.value)} numbers", number(float(np.linalg.norm(read.value)))),
        ("× weight A", f"{chain.weight:.4f}"),
        ("= A·v, length", number(chain.weight * float(np.linalg.norm(read.value)))),
        (f"sum over head {chain.head}, length", number(float(np.linalg.norm(read.head_sum)))),
        ("this point's part in the sum", signed(part, ".0%") if abs(part) >= 0.005 else f"{number(100 * part)}%"),
    ]
