"""What sampling points read, in NumPy: the cells below a location, their shares, and what they hold."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.trace import Trace


def of_layer(choice: Choice, name: str) -> np.ndarray:
    """What a site of the chosen layer's cross-attention holds for the matching queries (Q, …)."""
    return choice.rows(f"decoder.layers.{choice.layer}.cross_attn.{name}")


def is_discrete(trace: Trace) -> bool:
    """Whether points read one cell each instead of mixing four."""
    methods = [edit["method"] for edit in trace.meta["edits"] if edit["kind"] == "SetSampling"]
    return (methods or [trace.meta["config"]["cross_attn_method"]])[-1] == "discrete"


def level_of_points(trace: Trace) -> np.ndarray:
    """The level of each point of a head (P,)."""
    num_points = trace.meta["config"]["num_points"]
    return np.repeat(np.arange(len(num_points)), num_points)


def by_level(trace: Trace, weights: np.ndarray) -> np.ndarray:
    """Weights (…, P) of the points of a head, added up by level: (…, L)."""
    level_of = level_of_points(trace)
    return np.stack([weights[..., level_of == level].sum(-1) for level in range(len(trace.map_sizes))], axis=-1)


def star(num_heads: int) -> np.ndarray:
    """Where the heads look before training (H, 2): evenly around, to the edge of a square; point k lies k steps out."""
    angle = np.arange(num_heads) * (2 * np.pi / num_heads)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return direction / np.abs(direction).max(1, keepdims=True)


def cell_at(location: np.ndarray, map_size: tuple[int, int], discrete: bool) -> np.ndarray:
    """(column, row) of a location (x, y in 0..1) on a map (h, w); the centre of the first cell is (0, 0)."""
    size = np.array([map_size[1], map_size[0]], dtype=np.float32)
    if discrete:
        return np.clip(np.trunc(location * size + 0.5), 0, size - 1)
    return location * size - 0.5


def four_cells(locations: np.ndarray, map_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The four cells (…, 4, 2) nearest to points at (…, 2), on the map or not, and areas (…, 4) that sum to one."""
    at = cell_at(locations, map_size, False)
    first = np.floor(at).astype(np.int64)
    right, down = np.moveaxis(at - first, -1, 0)  # 0..1: how much of the next column, of the next row
    steps = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    areas = np.stack([(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down], axis=-1)
    return first[..., None, :] + steps, areas


def cells_read(locations: np.ndarray, map_size: tuple[int, int], discrete: bool) -> tuple[np.ndarray, np.ndarray]:
    """The cells (…, n, 2) as column and row that points at (…, 2; x y in 0..1) read on a map (h, w), and their shares.

    Bilinear reads mix the four (n = 4) nearest cells, in reading order; a cell outside the map counts as zero, so its
    share is zero. Discrete reads take one cell (n = 1), kept inside the map.
    """
    if discrete:
        return cell_at(locations, map_size, True)[..., None, :].astype(np.int64), np.ones((*locations.shape[:-1], 1))
    cells, areas = four_cells(locations, map_size)
    return cells, np.where(on_map(cells, map_size), areas, 0)


def on_map(cells: np.ndarray, map_size: tuple[int, int]) -> np.ndarray:
    """Whether cells (…, 2; column, row) lie on a map (h, w)."""
    h, w = map_size
    return np.all((cells >= 0) & (cells < [w, h]), axis=-1)


def tokens_at(trace: Trace, level: int, cells: np.ndarray) -> np.ndarray:
    """The tokens of cells (…, 2; column, row) of a level; the nearest one for cells outside the map."""
    h, w = trace.map_sizes[level]
    start = sum(rows * columns for rows, columns in trace.map_sizes[:level])
    return start + cells[..., 1].clip(0, h - 1) * w + cells[..., 0].clip(0, w - 1)


def read_points(trace: Trace, value: np.ndarray, locations: np.ndarray) -> np.ndarray:
    """What points at `locations` (Q, H, P, 2; 0..1) read from `value` (N, H, d): (Q, H, P, d)."""
    heads = np.arange(value.shape[1])[:, None, None]  # H 1 1, beside Q H p n
    level_of, discrete, read = level_of_points(trace), is_discrete(trace), []
    for level, map_size in enumerate(trace.map_sizes):
        cells, shares = cells_read(locations[:, :, level_of == level], map_size, discrete)
        read.append(np.einsum("qhpnd,qhpn->qhpd", value[tokens_at(trace, level, cells), heads], shares))
    return np.concatenate(read, axis=2)
