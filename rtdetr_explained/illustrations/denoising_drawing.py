"""The figure of denoising: noised boxes, repaired boxes, overlap and scores by object, the attention mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.drawing.colors import NEGATIVE, ON_PHOTO, PHOTO_HALO, POSITIVE, SELECTED, Palette, Theme, palette
from rtdetr_explained.drawing.layout import box_outline, photo_height
from rtdetr_explained.drawing.marks import Axis, Dash, Drawing, Heat, Lines, Mark, Panel, Photo, Points, Shape, Text
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.drawing.text import box_text, short_name

if TYPE_CHECKING:
    from rtdetr_explained.illustrations.denoising import DenoisingView

PHOTO_TOP = 42  # pixels from above
GAP = 62  # pixels between the photos and the charts
FOOT = 44  # pixels below the charts
ROW_PX = 19


def drawing(view: DenoisingView, theme: Theme) -> Drawing:
    """The figure as panels; it grows with the number of objects."""
    colors = palette(theme)
    height = charts_top(view) + max(206, ROW_PX * len(view.names)) + FOOT
    panels = [before(view, height), after(view, height), overlap(view, height, colors)]
    return Drawing([*panels, scores(view, height, colors), mask(view, height, colors)], height=height)


def charts_top(view: DenoisingView) -> int:
    """Where the lower row begins, in pixels from above."""
    return PHOTO_TOP + photo_height(view.image_size) + GAP


def boxes_mark(
    view: DenoisingView, boxes: np.ndarray, color: str, name: str, dash: Dash = "solid", width: float = 2
) -> Lines:
    """Outlines of one kind of boxes; hovering tells the object and its pixels."""
    corners = cxcywh_to_xyxy_px(boxes, view.image_size)
    x, y = box_outline(corners)
    hover = [
        f"{name}: object {i + 1}, {view.names[i]}<br>{box_text(c)} px" for i, c in enumerate(corners) for _ in range(6)
    ]
    return Lines(x, y, color, width, dash, halo=dash == "solid", hover=hover, name=name)


def object_numbers(view: DenoisingView) -> list[Mark]:
    """The number of each object in the middle of its true box."""
    center = view.targets[:, :2] * np.array(view.image_size)
    return [
        Text(float(x), float(y), str(i + 1), PHOTO_HALO, align="center", box=ON_PHOTO)
        for i, (x, y) in enumerate(center)
    ]


def before(view: DenoisingView, height: int) -> Panel:
    """True boxes and the noised boxes of the group."""
    w, h = view.image_size
    marks: list[Mark] = [
        Photo(soft_photo(view.photo), (0, 0, w, h)),
        boxes_mark(view, view.targets, ON_PHOTO, "true box"),
        boxes_mark(view, view.negative, NEGATIVE, "negative", "dot"),
        boxes_mark(view, view.positive, POSITIVE, "positive", "dash"),
        *object_numbers(view),
    ]
    return Panel(
        (0.012, PHOTO_TOP, 0.49, charts_top(view) - GAP),
        Axis((0, w)),
        Axis((h, 0)),
        marks,
        title=f"Into the decoder: group {view.group + 1} of {view.num_groups}",
        subtitle="green: positive, purple: negative",
        ratio=1,
    )


def after(view: DenoisingView, height: int) -> Panel:
    """True boxes and what the decoder made of the positives."""
    w, h = view.image_size
    marks: list[Mark] = [
        Photo(soft_photo(view.photo), (0, 0, w, h)),
        boxes_mark(view, view.targets, ON_PHOTO, "true box"),
        boxes_mark(view, view.repaired, POSITIVE, "repaired", width=2.5),
        *object_numbers(view),
    ]
    return Panel(
        (0.51, PHOTO_TOP, 0.988, charts_top(view) - GAP),
        Axis((0, w)),
        Axis((h, 0)),
        marks,
        title="After the last layer",
        subtitle="white: true, green: repaired",
        ratio=1,
    )


def row_axis(view: DenoisingView, labels: bool) -> Axis:
    """One row for each object, the first on top."""
    n = len(view.names)
    names = [f"{i + 1} {short_name(name)}" for i, name in enumerate(view.names)]
    return Axis((n - 0.4, -0.6), "", list(range(n)) if labels else (), names if labels else None)


def overlap(view: DenoisingView, height: int, colors: Palette) -> Panel:
    """IoU with the true box, before and after."""
    rows = np.arange(len(view.names))
    gap = np.full(len(rows), np.nan)
    ends = np.stack([view.iou_before, view.iou_after, gap], axis=1).ravel()
    hover = [
        f"object {i + 1}, {view.names[i]}, given as {view.given_names[i]}<br>"
        f"IoU {view.iou_before[i]:.2f} → <b>{view.iou_after[i]:.2f}</b>"
        for i in rows
    ]
    marks: list[Mark] = [
        Lines(ends, np.stack([rows, rows, gap], axis=1).ravel(), POSITIVE, 2, name="change"),
        Points(view.iou_before, rows, colors.background, 8, edge=POSITIVE, hover=hover, name="IoU before"),
        Points(view.iou_after, rows, POSITIVE, 9, hover=hover, name="IoU after"),
    ]
    for i in rows:
        text = f"{view.iou_before[i]:.2f} → {view.iou_after[i]:.2f}"
        marks.append(Text(1.05, float(i), text, colors.text))
    return Panel(
        (0.13, charts_top(view), 0.40, height - FOOT),
        Axis((0, 1.62), "IoU with the true box", (0, 0.5, 1)),
        row_axis(view, labels=True),
        marks,
        title="Positives repaired",
        subtitle="hollow: before, full: after",
    )


def scores(view: DenoisingView, height: int, colors: Palette) -> Panel:
    """Scores after the last layer: the true class of positives, the best class of negatives."""
    rows = np.arange(len(view.names))
    marks: list[Mark] = []
    kinds: tuple[tuple[np.ndarray, str, Shape, str], ...] = (
        (view.positive_scores, POSITIVE, "circle", "positive, true class"),
        (view.negative_scores, NEGATIVE, "diamond", "negative, best class"),
    )
    for values, color, shape, what in kinds:
        hover = [f"object {i + 1} · {what}: <b>{values[i]:.2f}</b>" for i in rows]
        marks.append(Points(values, rows, color, 9, shape, colors.background, hover=hover, name=what))
    return Panel(
        (0.46, charts_top(view), 0.62, height - FOOT),
        Axis((-0.05, 1.05), "score", (0, 0.5, 1), grid=True),
        row_axis(view, labels=False),
        marks,
        title="Scores",
        subtitle="● pos. ◆ neg.",
    )


def mask(view: DenoisingView, height: int, colors: Palette) -> Panel:
    """Who may not look at whom: rows look, columns are looked at."""
    size, M = len(view.blocked), view.num_denoising
    step = M / view.num_groups
    light, dark = (colors.surface, colors.text) if colors.theme == "light" else (colors.muted, colors.surface)
    hover = "query %{y} looks at %{x}<br>blocked: <b>%{z}</b> (1 = yes)"
    own = box_outline(
        np.array([view.group * step, view.group * step, (view.group + 1) * step, (view.group + 1) * step]) - 0.5
    )
    marks: list[Mark] = [
        Heat(
            view.blocked.astype(np.uint8), (-0.5, -0.5, size - 0.5, size - 0.5), 0, 1, (light, dark), hover_text=hover
        ),
        Lines(*own, SELECTED, 2, name="the group shown"),
    ]
    for x, y, text in (
        (M / 2, M / 2, "only their\nown group"),
        ((M + size) / 2, M / 2, "groups see\nmatching"),
        (M / 2, (M + size) / 2, "blocked: no\npeeking"),
        ((M + size) / 2, (M + size) / 2, "matching see\neach other"),
    ):
        marks.append(Text(x, y, text, PHOTO_HALO, 10, align="center", box=ON_PHOTO))
    names = [f"{view.num_groups} groups", "matching"]
    return Panel(
        (0.68, charts_top(view), 0.988, height - FOOT),
        Axis((-0.5, size - 0.5), "looked at", (M / 2, (M + size) / 2), names),
        Axis((size - 0.5, -0.5), "who looks"),
        marks,
        title="Attention mask",
        subtitle="dark: blocked",
        ratio=1,
    )
