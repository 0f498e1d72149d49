"""Bilinear and discrete sampling side by side: which cells the same points read, and what that changes in the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy_px, iou
from rtdetr_explained.drawing.colors import (
    LEVEL_COLORS,
    LEVEL_MARKERS,
    LEVEL_NAMES,
    MUTED,
    ON_PHOTO,
    SELECTED,
)
from rtdetr_explained.drawing.layout import outline, photo_height, photo_panel, photo_part, region_around
from rtdetr_explained.drawing.marks import Area, Drawing, Extent, Heat, Mark, Panel, Photo, Picture, Points
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.drawing.text import box_text
from rtdetr_explained.illustrations.deformable_attention.effect import Change, change
from rtdetr_explained.illustrations.deformable_attention.points import by_weight
from rtdetr_explained.illustrations.deformable_attention.sampling import (
    cells_read,
    is_discrete,
    level_of_points,
    of_layer,
    tokens_at,
)
from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.results import Outcome
from rtdetr_explained.tracing.trace import Trace, sigmoid

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


def view(choice: Choice, other: Outcome) -> DiscreteView:
    """Compare the trace with the outcome of the other way, on the chosen level or that of the heaviest point."""
    trace, query = choice.trace, choice.query
    locations, weights = of_layer(choice, "sampling_locations"), of_layer(choice, "weights")
    level_of = level_of_points(trace)
    level = int(level_of[by_weight(choice)[0] % len(level_of)])
    heads = slice(None) if choice.head is None else slice(choice.head, choice.head + 1)
    mine, theirs = locations[query, heads][:, level_of == level], weights[query, heads][:, level_of == level]
    labels, queries = trace.labels, np.arange(len(trace.labels))
    after = sigmoid(other.logits)
    boxes, boxes_after = (cxcywh_to_xyxy_px(b, trace.image_size) for b in (trace.boxes, other.boxes))
    return DiscreteView(
        photo=trace.photo,
        image_size=trace.image_size,
        query=query,
        layer=choice.layer,
        level=level,
        head=choice.head,
        used=METHODS[is_discrete(trace)],
        box=choice.rows(f"decoder.layers.{choice.layer}.reference_boxes")[query],
        locations_px=mine.reshape(-1, 2) * np.array(trace.image_size),
        maps=np.stack([cell_weights(mine, theirs, trace.map_sizes[level], d) for d in (False, True)]),
        cells_of_query=both(trace, locations[query : query + 1]),
        cells_of_all=both(trace, locations),
        change=change(choice, other),
        score_changes=after[queries, labels] - trace.scores,
        moves_px=np.linalg.norm((boxes_after[:, :2] + boxes_after[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2, axis=1),
        overlaps=iou(boxes, boxes_after),
        num_detections=(detected(trace.logits, choice.threshold), detected(other.logits, choice.threshold)),
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
    level_of, counts = level_of_points(trace), []
    for discrete in (False, True):
        read = 0
        for level, map_size in enumerate(trace.map_sizes):
            cells, shares = cells_read(locations[:, :, level_of == level], map_size, discrete)
            read += len(np.unique(tokens_at(trace, level, cells)[shares > 0]))
        counts.append(read)
    return counts[0], counts[1]


def picture(view: DiscreteView) -> Picture:
    """The same part of the photo twice, with the cells that are read in either way."""
    said = caption(view)
    return Picture(
        drawing(view),
        caption=said,
        alt_text=f"The cells of {LEVEL_NAMES[view.level]} that the points of query {view.query} read, bright where "
        "they count much: mixed from four cells on the left, one cell for each point on the right. " + said,
        table=table(view),
    )


def drawing(view: DiscreteView) -> Drawing:
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
    sides = ((0.005, 0.49), (0.505, 0.99))
    panels = [panel(view, i, region, high, (left, 42, right, height - 4)) for i, (left, right) in enumerate(sides)]
    return Drawing(panels, width=WIDTH, height=height)


def panel(view: DiscreteView, i: int, region: Extent, high: float, area: Area) -> Panel:
    """One way of reading."""
    h, w = view.maps[i].shape
    cell = np.array(view.image_size) / [w, h]
    part = photo_part(view.photo, view.image_size, region)
    color, name = LEVEL_COLORS[view.level], LEVEL_NAMES[view.level]
    box = cxcywh_to_xyxy_px(view.box, view.image_size)
    marks: list[Mark] = [Photo(soft_photo(part.image, 0.55), part.extent)]
    rows, columns = np.nonzero(view.maps.max(0))
    if len(rows):
        r0, r1, c0, c1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        values = view.maps[i][r0:r1, c0:c1]
        extent = c0 * cell[0], r0 * cell[1], c1 * cell[0], r1 * cell[1]
        cells = np.stack(np.meshgrid(np.arange(c0, c1), np.arange(r0, r1)), axis=-1)
        hover = f"column %{{customdata[0]}}, row %{{customdata[1]}} of {name}<br>counts <b>%{{z:.3f}}</b>"
        marks.append(Heat(values, extent, 0, high, "overlay", cells, hover))
    x, y = view.locations_px.T
    marks += [
        outline(np.array([0, 0, *view.image_size]), MUTED, 1, halo=False, name=f"frame, {METHODS[i]}"),
        outline(box, SELECTED, 2, name=f"reference box, {METHODS[i]}"),
        Points(x, y, color, 6, LEVEL_MARKERS[view.level], ON_PHOTO, name=f"points, {METHODS[i]}"),
    ]
    return photo_panel(
        area,
        region,
        marks,
        title=METHODS[i].capitalize() + (" (as configured)" if METHODS[i] == view.used else ""),
        subtitle=f"{int((view.maps[i] > 0).sum())} cells of {name}",
    )


def rows(view: DiscreteView) -> dict[str, tuple[str, str]]:
    """What differs, in words: bilinear, then discrete."""
    first = METHODS.index(view.used) == 0

    def ordered(used: str, other: str) -> tuple[str, str]:
        return (used, other) if first else (other, used)

    end = view.change
    boxes = [box_text(box.tolist()) for box in (end.box_before_px, end.box_after_px)]
    return {
        f"cells read by query {view.query}": (f"{view.cells_of_query[0]:,}", f"{view.cells_of_query[1]:,}"),
        "cells read by all queries": (f"{view.cells_of_all[0]:,}", f"{view.cells_of_all[1]:,}"),
        f"score of {end.class_before}": ordered(f"{end.score_before:.2f}", f"{end.score_after:.2f}"),
        "box (px)": ordered(boxes[0], boxes[1]),
        "detections": ordered(str(view.num_detections[0]), str(view.num_detections[1])),
    }


def caption(view: DiscreteView) -> str:
    """One sentence saying what is seen."""
    scores = np.abs(view.score_changes)
    return (
        f"With {view.other} reads in every layer the box of query {view.query} moves by {view.change.moved_px:.1f} px "
        f"(IoU {view.change.iou:.2f}); over all queries the median moves by {np.median(view.moves_px):.1f} px (at most "
        f"{view.moves_px.max():.0f}) and changes its score by {np.median(scores):.3f} (at most {scores.max():.2f})."
    )


def table(view: DiscreteView) -> dict[str, list]:
    """All queries."""
    return {
        "query": list(range(len(view.overlaps))),
        "score change": view.score_changes.astype(float).round(4).tolist(),
        "centre moved px": view.moves_px.astype(float).round(2).tolist(),
        "IoU": view.overlaps.astype(float).round(4).tolist(),
    }
