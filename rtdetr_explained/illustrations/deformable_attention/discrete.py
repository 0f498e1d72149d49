"""Bilinear and discrete sampling side by side: which cells the same points read, and what that changes in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy_px, iou
from rtdetr_explained.drawing.colors import (
    LEVEL_COLORS,
    LEVEL_MARKERS,
    LEVEL_NAMES,
    ON_PHOTO,
    OVERLAY,
    SELECTED,
    Theme,
    palette,
)
from rtdetr_explained.drawing.layout import box_outline, photo_height, photo_part, region_around
from rtdetr_explained.drawing.marks import Axis, Drawing, Extent, Heat, Lines, Mark, Panel, Photo, Points
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.drawing.text import box_text
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.illustrations.choice import check_choice
from rtdetr_explained.illustrations.deformable_attention.effect import Change, change
from rtdetr_explained.illustrations.deformable_attention.points import by_weight, level_of_points
from rtdetr_explained.illustrations.deformable_attention.proof import cells_read, is_discrete
from rtdetr_explained.tracing.results import Outcome
from rtdetr_explained.tracing.trace import Trace, sigmoid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 540
METHODS = ("bilinear", "discrete")


@dataclass(frozen=True)
class DiscreteView:
    """One query's points on one level, read in both ways, and how a whole run in the other way ends.

    `maps` (2, h, w) hold how much each cell counts, bilinear first: the weights of the points times their shares.
    `cells_of_query` (2,) and `cells_of_all` (2,) count the different cells that are read on all levels, by the query
    and by all queries. `used` is the way of the trace, the other one is what `change` and the arrays over all queries
    compare it with: `score_changes`, `moves_px` and `overlaps` (Q,), and `num_detections` before and after.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    query: int
    layer: int
    level: int
    head: int | None
    used: str
    box: np.ndarray
    locations_px: np.ndarray
    maps: np.ndarray
    cells_of_query: tuple[int, int]
    cells_of_all: tuple[int, int]
    change: Change
    score_changes: np.ndarray
    moves_px: np.ndarray
    overlaps: np.ndarray
    num_detections: tuple[int, int]

    @property
    def other(self) -> str:
        """The way of reading that the trace does not use."""
        return METHODS[METHODS.index(self.used) - 1]


def other_method(trace: Trace) -> str:
    """The name of the other way in the model's configuration: "default" is bilinear."""
    return "default" if is_discrete(trace) else "discrete"


def view(
    trace: Trace,
    other: Outcome,
    query: int,
    layer: int,
    head: int | None = None,
    level: int | None = None,
    threshold: float = 0.5,
) -> DiscreteView:
    """Compare the trace with the outcome of the other way; `level` None takes the one with the heaviest point.

    Raises InputError when the query, layer, head or level does not exist.
    """
    trace.query(query)
    check_choice("layer", layer, trace.num_layers)
    site = f"decoder.layers.{layer}.cross_attn"
    locations, weights = trace[f"{site}.sampling_locations"].array, trace[f"{site}.weights"].array
    if head is not None:
        check_choice("head", head, weights.shape[1])
    level_of = level_of_points(trace)
    if level is None:
        level = int(level_of[by_weight(trace, query, layer, head)[0] % len(level_of)])
    check_choice("level", level, len(trace.map_sizes))
    heads = slice(None) if head is None else slice(head, head + 1)
    mine, theirs = locations[query, heads][:, level_of == level], weights[query, heads][:, level_of == level]
    labels, queries = trace.labels, np.arange(len(trace.labels))
    after = sigmoid(other.logits)
    boxes, boxes_after = (cxcywh_to_xyxy_px(b, trace.image_size) for b in (trace.boxes, other.boxes))
    return DiscreteView(
        photo=trace.photo,
        image_size=trace.image_size,
        query=query,
        layer=layer,
        level=level,
        head=head,
        used=METHODS[is_discrete(trace)],
        box=trace[f"decoder.layers.{layer}.reference_boxes"].array[query],
        locations_px=mine.reshape(-1, 2) * np.array(trace.image_size),
        maps=np.stack([cell_weights(mine, theirs, trace.map_sizes[level], d) for d in (False, True)]),
        cells_of_query=both(trace, locations[query : query + 1]),
        cells_of_all=both(trace, locations),
        change=change(trace, other, query),
        score_changes=after[queries, labels] - trace.scores,
        moves_px=np.linalg.norm((boxes_after[:, :2] + boxes_after[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2, axis=1),
        overlaps=iou(boxes, boxes_after),
        num_detections=(detected(trace.logits, threshold), detected(other.logits, threshold)),
    )


def detected(logits: np.ndarray, threshold: float) -> int:
    """How many detections there are above the threshold, at most as many as queries."""
    return min(int((sigmoid(logits) > threshold).sum()), len(logits))


def cell_weights(locations: np.ndarray, weights: np.ndarray, map_size: tuple[int, int], discrete: bool) -> np.ndarray:
    """How much each cell (h, w) counts for points at (…, 2) with weights (…): the sum of weight × share."""
    cells, shares = cells_read(locations, map_size, discrete)
    h, w = map_size
    summed = np.zeros((h, w), np.float32)
    rows, columns = cells[..., 1].clip(0, h - 1), cells[..., 0].clip(0, w - 1)
    np.add.at(summed, (rows, columns), weights[..., None] * shares)
    return summed


def both(trace: Trace, locations: np.ndarray) -> tuple[int, int]:
    """How many different cells points at `locations` (Q, H, P, 2) read on all levels: bilinear, discrete."""
    num_points = trace.meta["config"]["num_points"]
    counts = []
    for discrete in (False, True):
        read = 0
        parts = np.split(locations, np.cumsum(num_points)[:-1], axis=2)
        for (h, w), points in zip(trace.map_sizes, parts, strict=True):
            cells, shares = cells_read(points, (h, w), discrete)
            tokens = cells[..., 1] * w + cells[..., 0]
            read += len(np.unique(tokens[shares > 0]))
        counts.append(read)
    return counts[0], counts[1]


def drawing(view: DiscreteView, theme: Theme) -> Drawing:
    """The same part of the photo twice, with the cells that are read."""
    _, h, w = view.maps.shape
    cell = np.array(view.image_size) / [w, h]
    rows, columns = np.nonzero(view.maps.max(0))
    box = cxcywh_to_xyxy_px(view.box, view.image_size)[None]
    around = box
    if len(rows):
        first, last = np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])
        around = np.concatenate([box, np.concatenate([first * cell, last * cell])[None]])
    region = region_around(around, view.image_size, room=0.1, least=0.15)
    high = float(view.maps.max()) or 1.0
    height = 46 + photo_height(view.image_size, WIDTH / 2 - 15, WIDTH / 2 - 15)
    panels = [
        panel(view, i, region, high, (0.005 + 0.5 * i, 42, 0.49 + 0.5 * i, height - 4), theme)
        for i in range(len(METHODS))
    ]
    return Drawing(panels, width=WIDTH, height=height)


def panel(view: DiscreteView, i: int, region: Extent, high: float, area: Extent, theme: Theme) -> Panel:
    """One way of reading."""
    h, w = view.maps[i].shape
    cell = np.array(view.image_size) / [w, h]
    part = photo_part(view.photo, view.image_size, region)
    color, name = LEVEL_COLORS[view.level], LEVEL_NAMES[view.level]
    frame_x, frame_y = box_outline(np.array([0, 0, *view.image_size]))
    box_x, box_y = box_outline(cxcywh_to_xyxy_px(view.box, view.image_size))
    marks: list[Mark] = [Photo(soft_photo(part.image, 0.55), part.extent)]
    rows, columns = np.nonzero(view.maps.max(0))
    if len(rows):
        r0, r1, c0, c1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        values = view.maps[i][r0:r1, c0:c1]
        extent = c0 * cell[0], r0 * cell[1], c1 * cell[0], r1 * cell[1]
        places = np.stack(np.meshgrid(np.arange(c0, c1), np.arange(r0, r1)), axis=-1)
        hover = f"column %{{customdata[0]}}, row %{{customdata[1]}} of {name}<br>counts <b>%{{z:.3f}}</b>"
        marks.append(Heat(values, extent, 0, high, OVERLAY, places, hover))
    x, y = view.locations_px.T
    marks += [
        Lines(frame_x, frame_y, palette(theme).muted, 1, name=f"frame, {METHODS[i]}"),
        Lines(box_x, box_y, SELECTED, 2, halo=True, name=f"reference box, {METHODS[i]}"),
        Points(x, y, color, 6, LEVEL_MARKERS[view.level], ON_PHOTO, name=f"points, {METHODS[i]}"),
    ]
    return Panel(
        area,
        Axis((region[0], region[2])),
        Axis((region[3], region[1])),
        marks,
        title=METHODS[i].capitalize() + (" (as configured)" if METHODS[i] == view.used else ""),
        subtitle=f"{int((view.maps[i] > 0).sum())} cells of {name}",
        ratio=1,
    )


def rows(view: DiscreteView) -> dict[str, tuple[str, str]]:
    """What differs, in words: bilinear, then discrete."""
    first = METHODS.index(view.used) == 0

    def ordered(used: str, other: str) -> tuple[str, str]:
        return (used, other) if first else (other, used)

    found = view.change
    boxes = [box_text(box.tolist()) for box in (found.box_before_px, found.box_after_px)]
    return {
        f"cells read by query {view.query}": (f"{view.cells_of_query[0]:,}", f"{view.cells_of_query[1]:,}"),
        "cells read by all queries": (f"{view.cells_of_all[0]:,}", f"{view.cells_of_all[1]:,}"),
        f"score of {found.class_before}": ordered(f"{found.score_before:.2f}", f"{found.score_after:.2f}"),
        "box (px)": ordered(boxes[0], boxes[1]),
        "detections": ordered(str(view.num_detections[0]), str(view.num_detections[1])),
    }


def plotly_figure(view: DiscreteView, theme: Theme) -> go.Figure:
    """The interactive figure."""
    return to_plotly(drawing(view, theme), theme)


def matplotlib_figure(view: DiscreteView, theme: Theme) -> Figure:
    """The figure for export."""
    return to_matplotlib(drawing(view, theme), theme)


def caption(view: DiscreteView) -> str:
    """One sentence saying what is seen."""
    scores = np.abs(view.score_changes)
    return (
        f"With {view.other} reads in every layer the box of query {view.query} moves by {view.change.moved_px:.1f} px "
        f"(IoU {view.change.iou:.2f}); over all queries the median moves by {np.median(view.moves_px):.1f} px (at most "
        f"{view.moves_px.max():.0f}) and changes its score by {np.median(scores):.3f} (at most {scores.max():.2f})."
    )


def alt_text(view: DiscreteView) -> str:
    """The figure in words."""
    return (
        f"The cells of {LEVEL_NAMES[view.level]} that the points of query {view.query} read, bright where they count "
        "much: mixed from four cells on the left, one cell for each point on the right. " + caption(view)
    )


def table(view: DiscreteView) -> dict[str, list]:
    """All queries."""
    return {
        "query": list(range(len(view.overlaps))),
        "score change": view.score_changes.astype(float).round(4).tolist(),
        "centre moved px": view.moves_px.astype(float).round(2).tolist(),
        "IoU": view.overlaps.astype(float).round(4).tolist(),
    }
