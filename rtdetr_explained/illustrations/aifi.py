"""AIFI: how one cell of the stride-32 map attends to all cells of the same map, head by head."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rtdetr_explained.drawing.colors import ON_PHOTO, PHOTO_HALO, SELECTED
from rtdetr_explained.drawing.layout import outline, place_labels
from rtdetr_explained.drawing.maps import cells, color_bar, map_panel
from rtdetr_explained.drawing.marks import SMALL_PX, Area, Drawing, Hits, Lines, Mark, Panel, Photo, Picture, Text
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.drawing.text import number
from rtdetr_explained.tracing.choice import Choice, Scope

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
    scale: Scope
    attention: np.ndarray
    heads: np.ndarray
    shared_high: float
    similarity: np.ndarray


def view(choice: Choice) -> AifiView:
    """The attention of one cell: the chosen one, or else the one below the query's first reference point."""
    trace, cell = choice.trace, choice.cell_of_s5
    h, w = trace.map_sizes[-1]
    heads = trace[WEIGHTS].array[:, cell].astype(np.float32).reshape(-1, h, w)  # head token token_attended
    codes = trace["hybrid_encoder.aifi.position"].array.astype(np.float32)  # token channel
    lengths = np.linalg.norm(codes, axis=1)
    return AifiView(
        photo=trace.photo,
        image_size=trace.image_size,
        cell=cell,
        row=cell // w,
        column=cell % w,
        query=choice.query if choice.cell is None else None,
        head=choice.head,
        scale=choice.scale or "map",
        attention=heads.mean(axis=0) if choice.head is None else heads[choice.head],
        heads=heads,
        shared_high=float(heads.max()),
        similarity=(codes @ codes[cell] / (lengths * lengths[cell])).reshape(h, w),
    )


def picture(view: AifiView) -> Picture:
    """The photo with the attention on the left, all heads and the similarity of positions on the right."""
    return Picture(drawing(view), caption(view), alt_text(view), table(view))


def drawing(view: AifiView) -> Drawing:
    """The panels in the room that the photo's proportions leave."""
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

    panels = [photo_panel(view, (0, HEADER, wide, HEADER + tall), high, which)]
    scope = f"range of {'all heads' if shared else 'this map'}"
    title, y = f"attention weight, {which}", HEADER + tall + 20
    panels.append(color_bar((0, y, wide, y + 9), "overlay", 0, high, title, scope))
    for i in range(len(names) + 1):
        x, y = left + i % columns * (tile + gap), HEADER + i // columns * (tile_tall + TITLE)
        if i < len(names):
            values, low, top = view.heads[i], 0.0, view.shared_high if shared else float(view.heads[i].max())
            name, title, subtitle = names[i], names[i], f"max {float(values.max()):.2g}"
        else:
            values, low, top = view.similarity, float(view.similarity.min()), float(view.similarity.max())
            name, title, subtitle = "cosine of position codes", "position", f"{low:.2g} to {top:.2g}"
        marks: list[Mark] = [cells(values, "sequential", low, top, name), cell_outline(view, 1.4)]
        if i == view.head:
            h, w = values.shape
            frame = np.array([-0.5, -0.5, w - 0.5, h - 0.5])
            marks.append(outline(frame, SELECTED, 4, halo=False, name="selected head"))
        panels.append(map_panel((x, y, x + tile, y + tile_tall), values.shape, view.image_size, marks, title, subtitle))
    title, scope = ("weight", "range of all heads") if shared else ("weight / the head’s maximum", "range of each head")
    y, top = HEADER + rows * (tile_tall + TITLE) - TITLE + 20, view.shared_high if shared else 1
    panels.append(color_bar((left, y, left + columns * (tile + gap) - gap, y + 9), "sequential", 0, top, title, scope))
    return Drawing(panels, WIDTH, height)


def tile_columns(count: int, width: float, height: float, aspect: float, gap: float) -> tuple[int, float]:
    """How many columns give `count` small maps the most room, and the width of each (all in pixels)."""
    sizes = {
        columns: min((width - (columns - 1) * gap) / columns, (height / math.ceil(count / columns) - TITLE) / aspect)
        for columns in (3, 4, 5)
    }
    best = max(sizes, key=lambda columns: sizes[columns])
    return best, sizes[best]


def photo_panel(view: AifiView, area: Area, high: float, which: str) -> Panel:
    """The darkened photo, brighter where the selected cell looks, with the cells that get the largest weights."""
    h, w = view.attention.shape
    heat = cells(view.attention, "overlay", 0, high, f"weight, {which}")
    marks: list[Mark] = [Photo(soft_photo(view.photo), heat.extent), heat]
    order = [int(i) for i in np.argsort(-view.attention, axis=None, kind="stable") if i != view.cell][:LABELLED]
    x, y = np.array(order) % w, np.array(order) // w
    corners = np.stack([x - 0.5, y - 0.5, x + 0.5, y + 0.5], axis=1)
    marks.append(outline(corners, ON_PHOTO, 1.2, halo=False, name="largest weights"))
    cell_wide, cell_tall = (area[2] - area[0]) * WIDTH / w, (area[3] - area[1]) / h  # pixels
    texts = [f"{view.attention.flat[i]:.2g}" for i in order]
    sizes = [((7 * len(text) + 4) / cell_wide, 17 / cell_tall) for text in texts]
    half = np.array(sizes) / 2
    lines = np.stack(
        [x - half[:, 0], y + half[:, 1], x + half[:, 0], y + half[:, 1]], axis=1
    )  # a label above is centred
    for text, corner, (dx, dy) in zip(texts, place_labels(lines + 0.5, sizes, (w, h)), half.tolist(), strict=True):
        if corner is not None:
            center = corner[0] + dx - 0.5, corner[1] + dy - 0.5
            marks.append(Text(*center, text, ON_PHOTO, SMALL_PX, "center", box=PHOTO_HALO))
    marks += [cell_outline(view, 2.6), hits(view)]
    origin = f", below query {view.query}" if view.query is not None else ""
    return map_panel(
        area,
        (h, w),
        view.image_size,
        marks,
        title=f"Where cell {view.cell} of S5 looks",
        subtitle=f"row {view.row}, column {view.column} of {h}×{w}{origin}",
    )


def cell_outline(view: AifiView, width: float) -> Lines:
    """The selected cell, in units of cells."""
    corners = np.array([view.column - 0.5, view.row - 0.5, view.column + 0.5, view.row + 0.5])
    return outline(corners, SELECTED, width, name="selected cell")


def hits(view: AifiView) -> Hits:
    """Every cell by its number, for clicks."""
    rows, columns = (axis.ravel() for axis in np.indices(view.attention.shape, dtype=np.int16))
    places = zip(rows.tolist(), columns.tolist(), view.attention.ravel().tolist(), strict=True)
    hover = [f"cell {i}: row {r}, column {c}<br>weight <b>{number(w)}</b>" for i, (r, c, w) in enumerate(places)]
    return Hits(columns, rows, np.arange(len(hover), dtype=np.int32), hover, name="cells")


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
