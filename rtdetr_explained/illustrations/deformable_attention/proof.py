"""The proof that the picture is the computation: the output made a second time, from nothing but the drawn points.

The model reads its maps with PyTorch; here NumPy reads them, so that both can only agree when every point lies where it
is drawn and counts as much as is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtdetr_explained.tracing.results import Reading
from rtdetr_explained.tracing.trace import Trace

TOLERANCE = 1e-4
"""Greatest error that counts as rounding, as a part of the greatest number in the output."""


@dataclass(frozen=True)
class Proof:
    """The greatest difference between the output rebuilt from the drawn points and the model's own, over all queries.

    `largest` is the greatest absolute number in the model's output, `num_points` how many points were read.
    """

    layer: int
    max_error: float
    largest: float
    num_points: int

    @property
    def relative(self) -> float:
        """The error as a part of the greatest number in the output."""
        return self.max_error / max(self.largest, 1e-30)

    @property
    def holds(self) -> bool:
        """Whether the error is no more than rounding."""
        return self.relative <= TOLERANCE


def proof(trace: Trace, reading: Reading) -> Proof:
    """Rebuild the output of every query of the layer, and compare."""
    site = f"decoder.layers.{reading.layer}.cross_attn"
    locations, weights = trace[f"{site}.sampling_locations"].array, trace[f"{site}.weights"].array
    error = np.abs(rebuild(trace, reading, locations, weights) - reading.output).max()
    return Proof(reading.layer, float(error), float(np.abs(reading.output).max()), weights.size)


def sentence(found: Proof) -> str:
    """What was compared, and how far it agrees."""
    agrees = "within" if found.holds else "beyond"
    return (
        f"The output of layer {found.layer + 1} was computed a second time, with NumPy, from the {found.num_points:,} "
        f"points as they are drawn. It differs from the model's own by {power(found.max_error)} at most: "
        f"{power(found.relative)} of the greatest output ({found.largest:.3g}), {agrees} the {power(TOLERANCE)} that "
        "count as rounding."
    )


def power(value: float) -> str:
    """Two significant digits and a power of ten, such as 4.7 × 10⁻⁷."""
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def rebuild(trace: Trace, reading: Reading, locations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The layer's output (Q, D) from points at `locations` (Q, H, P, 2; 0..1) that count by `weights` (Q, H, P)."""
    heads = np.einsum("qhpd,qhp->qhd", read_points(trace, reading.value, locations), weights)
    return heads.reshape(len(heads), -1) @ reading.projection.T + reading.bias


def read_points(trace: Trace, value: np.ndarray, locations: np.ndarray) -> np.ndarray:
    """What points at `locations` (Q, H, P, 2; 0..1) read from `value` (N, H, d): (Q, H, P, d)."""
    heads = np.arange(value.shape[1])[:, None, None]  # H 1 1, beside Q H p n
    num_points = trace.meta["config"]["num_points"]
    read, start = [], 0
    for (h, w), points in zip(trace.map_sizes, np.split(locations, np.cumsum(num_points)[:-1], axis=2), strict=True):
        cells, shares = cells_read(points, (h, w), is_discrete(trace))
        tokens = start + cells[..., 1].clip(0, h - 1) * w + cells[..., 0].clip(0, w - 1)
        read.append(np.einsum("qhpnd,qhpn->qhpd", value[tokens, heads], shares))
        start += h * w
    return np.concatenate(read, axis=2)


def cells_read(locations: np.ndarray, map_size: tuple[int, int], discrete: bool) -> tuple[np.ndarray, np.ndarray]:
    """The cells (…, n, 2) as column and row that points at (…, 2; x y in 0..1) read on a map (h, w), and their shares.

    Bilinear reads mix the four (n = 4) nearest cells, in reading order; a cell outside the map counts as zero, so its
    share is zero. Discrete reads take one cell (n = 1), kept inside the map.
    """
    if discrete:
        return cell_at(locations, map_size, True)[..., None, :].astype(np.int64), np.ones((*locations.shape[:-1], 1))
    cells, areas = four_cells(locations, map_size)
    h, w = map_size
    inside = ((cells >= 0) & (cells < [w, h])).all(-1)
    return cells, np.where(inside, areas, 0)


def four_cells(locations: np.ndarray, map_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The four cells (…, 4, 2) nearest to points at (…, 2), on the map or not, and areas (…, 4) that sum to one."""
    place = cell_at(locations, map_size, False)
    first = np.floor(place).astype(np.int64)
    right, down = np.moveaxis(place - first, -1, 0)  # 0..1: how much of the next column, of the next row
    steps = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    areas = np.stack([(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down], axis=-1)
    return first[..., None, :] + steps, areas


def cell_at(location: np.ndarray, map_size: tuple[int, int], discrete: bool) -> np.ndarray:
    """(column, row) of a location (x, y in 0..1) on a map (h, w); the centre of the first cell is (0, 0)."""
    size = np.array([map_size[1], map_size[0]], dtype=np.float32)
    if discrete:
        return np.clip(np.trunc(location * size + 0.5), 0, size - 1)
    return location * size - 0.5


def is_discrete(trace: Trace) -> bool:
    """Whether points read one cell each instead of mixing four."""
    methods = [edit["method"] for edit in trace.meta["edits"] if edit["kind"] == "SetSampling"]
    return (methods or [trace.meta["config"]["cross_attn_method"]])[-1] == "discrete"
