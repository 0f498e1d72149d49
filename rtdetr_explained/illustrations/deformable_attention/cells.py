"""The cells that one point reads: how a place between four cells is mixed from them."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.drawing.colors import BACKGROUND, GREY, LEVEL_COLORS, LEVEL_MARKERS, LEVEL_NAMES, MUTED, TEXT
from rtdetr_explained.drawing.layout import outline
from rtdetr_explained.drawing.marks import Axis, Drawing, Extent, Heat, Mark, Panel, Picture, Points, Text
from rtdetr_explained.drawing.text import number
from rtdetr_explained.illustrations.deformable_attention.points import PointRead, name_of
from rtdetr_explained.illustrations.deformable_attention.sampling import four_cells, on_map

WIDTH, HEIGHT = 360, 226
FILL = "66"  # opacity of the square that is read, in hexadecimal


def location_of(read: PointRead) -> np.ndarray:
    """Where the point lies, in (column, row) with cell centres at whole numbers."""
    h, w = read.chain.map_size
    return read.chain.location * [w, h] - 0.5


def grid_of(read: PointRead) -> np.ndarray:
    """The 2 × 2 cells (2, 2, 2; column, row) around the point, or around the one cell that is read."""
    first = np.floor(location_of(read)).astype(int)
    if read.discrete:
        first = np.clip(first, read.cells[0] - 1, read.cells[0])
    return first + np.stack(np.meshgrid([0, 1], [0, 1]), axis=-1)  # row column xy


def picture(read: PointRead) -> Picture:
    """Four cells, the square that is read, and the share of each."""
    shares = "; ".join(
        f"column {column}, row {row}: {share:.2f}"
        for (column, row), share in zip(read.cells, shown_shares(read), strict=True)
    )
    return Picture(
        drawing(read),
        caption=caption(read),
        alt_text=f"The cells that {name_of(read.chain)} of query {read.query} reads, with their shares: {shares}.",
        table=table(read),
    )


def drawing(read: PointRead) -> Drawing:
    """The cells around the point."""
    level = read.chain.level
    color, grid = LEVEL_COLORS[level], grid_of(read)
    (c0, r0), (c1, r1) = grid[0, 0], grid[1, 1]
    corner = read.cells[0] - 0.5 if read.discrete else location_of(read) - 0.5
    square: Extent = corner[0], corner[1], corner[0] + 1, corner[1] + 1
    cells = grid.reshape(-1, 2)
    marks: list[Mark] = [
        Heat(np.ones((1, 1), np.float32), square, 0, 1, (color + "00", color + FILL)),
        outline(np.concatenate([cells - 0.5, cells + 0.5], axis=1), GREY, 1, halo=False, name="cells"),
        outline(np.array(square), color, 1.5, "dash", halo=False, name="square that is read"),
    ]
    for row in range(2):
        for column in range(2):
            cell = grid[row, column]
            title = f"column {cell[0]}, row {cell[1]}"
            at = cell[0] - 0.45, cell[1] + (-0.44 if row == 0 else 0.44)
            lines = [title, share_text(read, cell)]
            marks += [
                Text(*at, lines[0], MUTED, valign="top" if row == 0 else "bottom", dy=0 if row == 0 else 17,
                     box=BACKGROUND),
                Text(*at, lines[1], TEXT, valign="top" if row == 0 else "bottom", dy=-17 if row == 0 else 0,
                     bold=share_of(read, cell) > 0, box=BACKGROUND),
            ]  # fmt: skip
    px, py = location_of(read)
    marks.append(Points(np.array([px]), np.array([py]), color, 11, LEVEL_MARKERS[level], TEXT, name="the point"))
    h, w = read.chain.map_size
    how = "takes one cell whole" if read.discrete else "mixes four cells by the area its square covers"
    return Drawing(
        [
            Panel(
                (0.005, 40, 0.995, HEIGHT - 2),
                Axis((c0 - 0.54, c1 + 0.54)),
                Axis((r1 + 0.54, r0 - 0.54)),
                marks,
                title=f"What it reads on {LEVEL_NAMES[level]}, {w} × {h} cells",
                subtitle=f"{'discrete' if read.discrete else 'bilinear'}: {how}",
            )
        ],
        width=WIDTH,
        height=HEIGHT,
    )


def share_of(read: PointRead, cell: np.ndarray) -> float:
    """How much of a cell is read."""
    return float(read.shares[(read.cells == cell).all(-1)].sum())


def share_text(read: PointRead, cell: np.ndarray) -> str:
    """Share and value of one cell, or why there is none."""
    if not on_map(cell, read.chain.map_size):
        return "outside" if read.discrete else "outside: zero"
    at = (read.cells == cell).all(-1)
    if not at.any():
        return "not read"
    return f"{shown_shares(read)[at][0]:.2f} · |v| {number(float(read.lengths[at][0]))}"


def shown_shares(read: PointRead) -> np.ndarray:
    """The shares as they are written, in hundredths; where all four cells lie on the map they sum to one."""
    if read.discrete:
        return read.shares
    _, areas = four_cells(read.chain.location, read.chain.map_size)
    return np.where(read.shares > 0, hundredths(areas), 0)


def hundredths(parts: np.ndarray) -> np.ndarray:
    """Parts (n,) of one, rounded to hundredths that still sum to one: the largest remainders are rounded up."""
    exact = parts * 100
    rounded = np.floor(exact)
    missing = round(100 - rounded.sum())
    rounded[np.argsort(rounded - exact, kind="stable")[:missing]] += 1
    return rounded / 100


def caption(read: PointRead) -> str:
    """One sentence saying what is seen."""
    outside = int((read.shares == 0).sum()) if not read.discrete else 0
    beyond = f" {outside} of the four lie outside the map or are not touched." if outside else ""
    return (
        f"The share of a cell is the part of the point's square that it covers; |v| is the length of its value.{beyond}"
        if not read.discrete
        else "One cell counts whole: the one at trunc(location × size + ½), half a cell further right and down, kept "
        "inside the map."
    )


def table(read: PointRead) -> dict[str, list]:
    """The cells that are read."""
    inside = on_map(read.cells, read.chain.map_size).tolist()
    return {
        "column": read.cells[:, 0].tolist(),
        "row": read.cells[:, 1].tolist(),
        "inside the map": inside,
        "share": read.shares.astype(float).round(3).tolist(),
        "|v|": [round(float(length), 3) if there else 0.0 for length, there in zip(read.lengths, inside, strict=True)],
    }
