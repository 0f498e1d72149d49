"""One sampling point in numbers: how it comes to lie where it does, what it reads there, and what becomes of that."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.drawing.text import number
from rtdetr_explained.illustrations.deformable_attention.sampling import (
    cell_at,
    cells_read,
    is_discrete,
    level_of_points,
    of_layer,
    read_points,
    tokens_at,
)
from rtdetr_explained.model.config import OFFSET_SCALE
from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.results import Reading

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


def by_weight(choice: Choice) -> np.ndarray:
    """The query's points as flat indices, the heaviest first; of one head or level only, where one is chosen.

    Weights that are the same with four decimals are equal, and their points stay in the order of their indices: so the
    order fits the numbers that are written, and a browser, which is sent no more than these, finds the same.
    """
    weights = of_layer(choice, "weights")[choice.query]  # H P
    heads, points = np.indices(weights.shape)
    levels = level_of_points(choice.trace)[points]
    shown = ((choice.head is None) | (heads == choice.head)) & ((choice.level is None) | (levels == choice.level))
    flat = np.flatnonzero(shown)
    return flat[np.argsort(-weight_steps(weights.ravel()[flat]), kind="stable")]


def weight_steps(weights: np.ndarray) -> np.ndarray:
    """Weights in whole ten-thousandths."""
    return np.rint(weights.astype(np.float64) * WEIGHT_STEPS).astype(np.int32)


def looked_at(choice: Choice) -> int:
    """The chosen point where it is one of those that are shown, else the heaviest of them, as a flat index."""
    order = by_weight(choice)
    return int(order[0]) if choice.point is None or choice.point not in order else choice.point


def chain(choice: Choice, offset: np.ndarray | None = None) -> Chain:
    """The chain of the point looked at. `offset` is the exact raw one: most traces keep it in half precision only."""
    trace, query = choice.trace, choice.query
    locations = of_layer(choice, "sampling_locations")[query]  # H P 2
    head, p = divmod(looked_at(choice), locations.shape[1])
    num_points = choice.config["num_points"]
    level = int(level_of_points(trace)[p])
    box, location = choice.rows(f"decoder.layers.{choice.layer}.reference_boxes")[query], locations[head, p]
    kept = of_layer(choice, "offsets")[query, head, p].astype(np.float32) if offset is None else offset
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
        weight=float(of_layer(choice, "weights")[query, head, p]),
    )


def shift(link: Chain) -> np.ndarray:
    """From the reference point to the location, (x, y) in 0..1 of the image; Deformable DETR (2010.04159), eq. 2."""
    return link.offset * link.scale * link.box_size * OFFSET_SCALE


def point_read(choice: Choice, reading: Reading) -> PointRead:
    """The point looked at, among those of the chosen head or level, with what it reads; the layer is the reading's."""
    choice = replace(choice, layer=reading.layer)
    trace, query = choice.trace, choice.query
    weights = of_layer(choice, "weights")[query]  # H P
    flat = looked_at(choice)
    h, p = divmod(flat, weights.shape[1])
    link = chain(choice, reading.offsets[query, h, p])
    cells, shares = cells_read(link.location, link.map_size, is_discrete(trace))
    values = reading.value[tokens_at(trace, link.level, cells), h]  # n d
    locations = of_layer(choice, "sampling_locations")[query]
    read = read_points(trace, reading.value, locations[None])[0, h]  # P d
    return PointRead(
        query=query,
        layer=reading.layer,
        image_size=trace.image_size,
        discrete=is_discrete(trace),
        flat=flat,
        order=by_weight(choice),
        chain=link,
        cells=cells,
        shares=shares,
        lengths=np.linalg.norm(values, axis=-1),
        value=read[p],
        head_sum=weights[h] @ read,
    )


def name_of(link: Chain) -> str:
    """Head, level and point in words."""
    return f"head {link.head}, {LEVEL_NAMES[link.level]}, point {link.point}"


def way(read: PointRead, unit: str) -> list[tuple[str, str, str]]:
    """The way to the location, step by step: name, x, y. `unit` is "px" of the photo or "image" for 0..1."""
    link = read.chain
    size = np.array(read.image_size) if unit == "px" else np.ones(2)
    digits = ".1f" if unit == "px" else ".4f"
    h, w = link.map_size
    rows = [
        ("reference point p̂", link.reference * size, digits),
        ("raw offset Δp", link.offset, "+.3f"),
        (f"× 1 / {round(1 / link.scale)} points of {LEVEL_NAMES[link.level]}", (link.scale, link.scale), ".3f"),
        ("× box width, height", link.box_size * size, digits),
        ("× constant", (OFFSET_SCALE, OFFSET_SCALE), ".1f"),
        ("= shift", shift(link) * size, "+" + digits),
        ("location p̂ + shift", link.location * size, digits),
        (f"{'cell' if read.discrete else 'place'} on {LEVEL_NAMES[link.level]}, {w} × {h} cells", link.cell, ".2f"),
    ]
    return [(name, signed(values[0], form), signed(values[1], form)) for name, values, form in rows]


def signed(value: float, form: str) -> str:
    """The number with a true minus sign."""
    return format(float(value), form).replace("-", "−")


def rest(read: PointRead) -> list[tuple[str, str]]:
    """What becomes of the value that was read: name and number."""
    link, part = read.chain, read.share_of_head
    return [
        (f"value read v, length of {len(read.value)} numbers", number(float(np.linalg.norm(read.value)))),
        ("× weight A", f"{link.weight:.4f}"),
        ("= A·v, length", number(link.weight * float(np.linalg.norm(read.value)))),
        (f"sum over head {link.head}, length", number(float(np.linalg.norm(read.head_sum)))),
        ("this point's part in the sum", signed(part, ".0%") if abs(part) >= 0.005 else f"{number(100 * part)}%"),
    ]
