"""AIFI: how one cell of the stride-32 map attends to all cells of the same map, head by head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from rtdetr_explained.drawing.colors import ON_PHOTO, PHOTO_HALO, SELECTED, Theme
from rtdetr_explained.drawing.layout import box_outline, place_labels
from rtdetr_explained.drawing.maps import cells, color_bar, map_panel
from rtdetr_explained.drawing.marks import SMALL_PX, Drawing, Extent, Lines, Mark, Panel, Photo, Text
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.drawing.text import number
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.trace import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALES = ("map", "stage")
WIDTH, HEIGHT, HEADER = 900, 560, 46
TITLE = 38  # pixels between small maps
MAIN = 0.54  # of the width
LABELLED = 3  # cells whose weight is written on the photo
WEIGHTS = "hybrid_encoder.aifi.layers.0.self_attn.weights"


@dataclass(frozen=True)
class AifiView:
    """Where one cell of S5 looks; maps are (h, w) and each attention map sums to 1.

    `attention` is what lies on the photo: one head, or the mean over heads when `head` is None. `heads` (M, h, w) are
    all heads. With `scale` "map" every map has its own range of colours, from 0 to its maximum; with "stage" all share
    0 to `shared_high`. `similarity` is derived: the cosine between the position codes of the cell and of each cell.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    cell: int
    row: int
    column: int
    query: int | None
    head: int | None
    scale: str
    attention: np.ndarray
    heads: np.ndarray
    shared_high: float
    similarity: np.ndarray


def view(
    trace: Trace, query: int | None = None, cell: int | None = None, head: int | None = None, scale: str = "map"
) -> AifiView:
    """The attention of one cell, counted row by row from the top left.

    Without `cell` it is the one below the first reference point of `query`, and without `query` of the best scored
    query. Raises InputError for a cell, head, query or scale that does not exist.
    """
    if scale not in SCALES:
        raise InputError(f"There is no scale {scale!r}; use one of {', '.join(SCALES)}.")
    weights = trace[WEIGHTS].array  # head token token_attended
    h, w = trace.map_sizes[-1]
    if cell is None:
        query = int(np.argmax(trace.scores)) if query is None else query
        x, y = trace.query(query).reference_boxes[0][:2]
        cell = min(int(y * h), h - 1) * w + min(int(x * w), w - 1)
    else:
        query = None
    if not 0 <= cell < h * w:
        raise InputError(f"There is no cell {cell}; S5 has {h} rows of {w}, so cells 0 to {h * w - 1}.")
    if head is not None and not 0 <= head < len(weights):
        raise InputError(f"There is no head {head}; AIFI has heads 0 to {len(weights) - 1}.")
    heads = weights[:, cell].astype(np.float32).reshape(-1, h, w)
    attention = heads.mean(axis=0) if head is None else heads[head]
    codes = trace["hybrid_encoder.aifi.position"].array.astype(np.float32)  # token channel
    lengths = np.linalg.norm(codes, axis=1)
    similarity = (codes @ codes[cell] / (lengths * lengths[cell])).reshape(h, w)
    return AifiView(
        photo=trace.photo,
        image_size=trace.image_size,
        cell=cell,
        row=cell // w,
        column=cell % w,
        query=query,
        head=head,
        scale=scale,
        attention=attention,
        heads=heads,
        shared_high=float(heads.max()),
        similarity=similarity,
    )


def drawing(view: AifiView, theme: Theme) -> Drawing:
    """The photo with the attention on the left, all heads and the similarity of positions on the right."""
    aspect = view.image_size[1] / view.image_size[0]
    tall = min(MAIN * WIDTH * aspect, HEIGHT - HEADER - 46)
    wide = tall / aspect / WIDTH
    names = [f"head {i}" for i in range(len(view.heads))]
    which = "mean over heads" if view.head is None else names[view.head]
    shared = view.scale == "stage"
    high = view.shared_high if shared else float(view.attention.max())

    left, gap = wide + 0.03, 0.012
    room = HEIGHT - HEADER - 46 + TITLE
    columns, tile = tile_columns(len(names) + 1, (1 - left) * WIDTH, room, aspect, gap * WIDTH)
    rows, tile, tile_tall = math.ceil((len(names) + 1) / columns), tile / WIDTH, tile * aspect
    bottom = max(tall, rows * (tile_tall + TITLE) - TITLE) + HEADER
    height = round(bottom + 46)

    def area(x: float, y: float, width: float, tallness: float) -> Extent:
        return x, y, x + width, y + tallness

    panels = [photo_panel(view, theme, area(0, HEADER, wide, tall), height, high, which)]
    scope = f"range of {'all heads' if shared else 'this map'}"
    title = f"attention weight, {which}"
    panels.append(color_bar(area(0, HEADER + tall + 20, wide, 9), "overlay", 0, high, title, scope))
    for i in range(len(names) + 1):
        place = area(left + i % columns * (tile + gap), HEADER + i // columns * (tile_tall + TITLE), tile, tile_tall)
        if i < len(names):
            values, low, top = view.heads[i], 0.0, view.shared_high if shared else float(view.heads[i].max())
            name, title, subtitle = names[i], names[i], f"max {float(values.max()):.2g}"
        else:
            values, low, top = view.similarity, float(view.similarity.min()), float(view.similarity.max())
            name, title, subtitle = "cosine of position codes", "position", f"{low:.2g} to {top:.2g}"
        marks: list[Mark] = [cells(values, "sequential", low, top, name), cell_outline(view, 1.4)]
        if i == view.head:
            h, w = values.shape
            frame = box_outline(np.array([-0.5, -0.5, w - 0.5, h - 0.5]))
            marks.append(Lines(*frame, SELECTED, 4, name="selected head"))
        panels.append(map_panel(place, values.shape, view.image_size, marks, title, subtitle))
    title, scope = ("weight", "range of all heads") if shared else ("weight / the head’s maximum", "range of each head")
    panels.append(
        color_bar(
            area(left, HEADER + rows * (tile_tall + TITLE) - TITLE + 20, columns * (tile + gap) - gap, 9),
            "sequential",
            0,
            view.shared_high if shared else 1,
            title,
            scope,
        )
    )
    return Drawing(panels, WIDTH, height)


def tile_columns(count: int, width: float, height: float, aspect: float, gap: float) -> tuple[int, float]:
    """How many columns give `count` small maps the most room, and the width of each (all in pixels)."""
    sizes = {
        columns: min((width - (columns - 1) * gap) / columns, (height / math.ceil(count / columns) - TITLE) / aspect)
        for columns in (3, 4, 5)
    }
    best = max(sizes, key=lambda columns: sizes[columns])
    return best, sizes[best]


def photo_panel(view: AifiView, theme: Theme, place: Extent, height: int, high: float, which: str) -> Panel:
    """The darkened photo, brighter where the selected cell looks, with the cells that get the largest weights."""
    h, w = view.attention.shape
    heat = cells(view.attention, "overlay", 0, high, f"weight, {which}")
    marks: list[Mark] = [Photo(soft_photo(view.photo), heat.extent), heat]
    order = [int(i) for i in np.argsort(-view.attention, axis=None, kind="stable") if i != view.cell][:LABELLED]
    x, y = np.array(order) % w, np.array(order) // w
    corners = np.stack([x - 0.5, y - 0.5, x + 0.5, y + 0.5], axis=1)
    marks.append(Lines(*box_outline(corners), ON_PHOTO, 1.2, name="largest weights"))
    cell_wide, cell_tall = (place[2] - place[0]) * WIDTH / w, (place[3] - place[1]) / h  # pixels
    texts = [f"{view.attention.flat[i]:.2g}" for i in order]
    sizes = [((7 * len(text) + 4) / cell_wide, 17 / cell_tall) for text in texts]
    half = np.array(sizes) / 2
    lines = np.stack(
        [x - half[:, 0], y + half[:, 1], x + half[:, 0], y + half[:, 1]], axis=1
    )  # a label above is centred
    for text, corner, (dx, dy) in zip(texts, place_labels(lines + 0.5, sizes, (w, h)), half.tolist(), strict=True):
        if corner is not None:
            place_x, place_y = corner[0] + dx - 0.5, corner[1] + dy - 0.5
            marks.append(Text(place_x, place_y, text, ON_PHOTO, SMALL_PX, "center", box=PHOTO_HALO))
    marks.append(cell_outline(view, 2.6))
    origin = f", below query {view.query}" if view.query is not None else ""
    return map_panel(
        place,
        (h, w),
        view.image_size,
        marks,
        title=f"Where cell {view.cell} of S5 looks",
        subtitle=f"row {view.row}, column {view.column} of {h}×{w}{origin}",
    )


def cell_outline(view: AifiView, width: float) -> Lines:
    """The selected cell, in units of cells."""
    corners = np.array([view.column - 0.5, view.row - 0.5, view.column + 0.5, view.row + 0.5])
    return Lines(*box_outline(corners), SELECTED, width, halo=True, name="selected cell")


def plotly_figure(view: AifiView, theme: Theme) -> go.Figure:
    """The interactive figure; an invisible point in each cell carries the cell's number, for clicks."""
    figure = to_plotly(drawing(view, theme), theme)
    rows, columns = np.indices(view.attention.shape)
    hover = [
        f"cell {i}: row {r}, column {c}<br>weight <b>{number(float(view.attention[r, c]))}</b>"
        for i, (r, c) in enumerate(zip(rows.ravel().tolist(), columns.ravel().tolist(), strict=True))
    ]
    return figure.add_scatter(
        x=columns.ravel().astype(np.int16),
        y=rows.ravel().astype(np.int16),
        mode="markers",
        marker={"size": 14, "opacity": 0},
        customdata=np.arange(view.attention.size, dtype=np.int32),
        hovertext=hover,
        hoverinfo="text",
        name="cells",
    )


def matplotlib_figure(view: AifiView, theme: Theme) -> Figure:
    """The figure for export."""
    return to_matplotlib(drawing(view, theme), theme)


def caption(view: AifiView) -> str:
    """One sentence saying what is seen."""
    who = "On the mean over heads" if view.head is None else f"In head {view.head}"
    row, column = divmod(int(view.attention.argmax()), view.attention.shape[1])
    target = "itself" if (row, column) == (view.row, view.column) else f"row {row}, column {column}"
    highest, own = float(view.attention.max()), float(view.attention[view.row, view.column])
    return (
        f"{who}, the cell in row {view.row}, column {view.column} gives its largest weight, {highest:.2g}, to "
        f"{target}, and {own:.2g} to itself; an even spread over {view.attention.size} cells would be "
        f"{1 / view.attention.size:.2g}."
    )


def alt_text(view: AifiView) -> str:
    """The figure in words."""
    peaks = ", ".join(f"head {i} {number(float(values.max()))}" for i, values in enumerate(view.heads))
    return (
        "The darkened photo, brighter where the selected cell of S5 attends, and one small map for each head with its "
        f"largest weight: {peaks}. A last small map shows how alike the position codes are. {caption(view)}"
    )


def table(view: AifiView) -> dict[str, list]:
    """Weights of the selected cell to every cell."""
    rows, columns = np.indices(view.attention.shape)
    return {
        "cell": list(range(view.attention.size)),
        "row": rows.ravel().tolist(),
        "column": columns.ravel().tolist(),
        "weight (shown)": view.attention.ravel().tolist(),
        **{f"head {i}": values.ravel().tolist() for i, values in enumerate(view.heads)},
        "position cosine": view.similarity.ravel().tolist(),
    }
