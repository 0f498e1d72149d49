"""The figure of deformable attention: points on the photo, weights by level and head, one point in numbers."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.drawing.colors import (
    LEVEL_COLORS,
    LEVEL_MARKERS,
    LEVEL_NAMES,
    MUTED,
    ON_PHOTO,
    PHOTO_HALO,
    SELECTED,
    TEXT,
)
from rtdetr_explained.drawing.layout import outline, photo_panel, photo_part, region_around
from rtdetr_explained.drawing.marks import Axis, Drawing, Extent, Lines, Mark, Panel, Photo, Picture, Points, Text
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.illustrations.deformable_attention.points import name_of, weight_steps
from rtdetr_explained.illustrations.deformable_attention.view import DeformableAttentionView
from rtdetr_explained.illustrations.deformable_attention.weights import by_head, by_level
from rtdetr_explained.model.config import OFFSET_SCALE

HEIGHT = 620
LARGEST_PX = 20  # diameter of the heaviest point; the area of the others follows their weight
SMALLEST_PX = 2.5
LOCATOR_PX = 240  # longest side of the small photo that shows where the large one lies


def picture(view: DeformableAttentionView) -> Picture:
    """Points on the photo, weights by level and by head, and one point in numbers."""
    region = shown_region(view)
    queries = (view.query,)
    levels = by_level((0.655, 42, 0.83, 122), queries, view.weight_by_level[None], "of the points shown")
    heads = by_head((0.70, 196, 0.988, 420), queries, view.weight_by_head[None], view.selected_head)
    panels = [sampling(view, region), locator(view, region), levels, heads, chain(view)]
    said = caption(view)
    return Picture(
        Drawing(panels, height=HEIGHT),
        caption=said,
        alt_text="Sampling points on the photo around the reference box, with colour and shape by level and area by "
        "weight; bars of the weight by level and by head; the numbers that place one point. " + said,
        table=table(view),
    )


def caption(view: DeformableAttentionView) -> str:
    """One sentence saying what is seen."""
    levels = ", ".join(f"{name} {share:.0%}" for name, share in zip(LEVEL_NAMES, view.weight_by_level, strict=True))
    return (
        f"In layer {view.layer + 1} query {view.query} reads {len(view.weights)} points with {view.whose}, "
        f"{view.outside} of them outside the photo; their weight lies on {levels}. Weight is not importance."
    )


def table(view: DeformableAttentionView) -> dict[str, list]:
    """All points shown, the heaviest first."""
    order = np.argsort(-weight_steps(view.weights), kind="stable")
    return {
        "head": view.head[order].tolist(),
        "level": [LEVEL_NAMES[level] for level in view.level[order]],
        "point": view.point[order].tolist(),
        "offset x": view.offsets[order, 0].astype(float).round(3).tolist(),
        "offset y": view.offsets[order, 1].astype(float).round(3).tolist(),
        "x px": view.locations_px[order, 0].astype(float).round(1).tolist(),
        "y px": view.locations_px[order, 1].astype(float).round(1).tolist(),
        "weight": view.weights[order].astype(float).round(4).tolist(),
    }


def shown_region(view: DeformableAttentionView) -> Extent:
    """The part of the photo, and of what lies around it, that holds the box and every point."""
    box = cxcywh_to_xyxy_px(view.box, view.image_size)
    points = np.concatenate([view.locations_px, view.chain.location_px[None]])
    return region_around(np.concatenate([box[None], np.tile(points, 2)]), view.image_size, room=0.12, least=0.25)


def sampling(view: DeformableAttentionView, region: Extent) -> Panel:
    """The reference box and every point at its place, those outside the photo too."""
    box = cxcywh_to_xyxy_px(view.box, view.image_size)
    center = view.box[:2] * np.array(view.image_size)
    part = photo_part(view.photo, view.image_size, region)
    x, y = view.chain.location_px
    name = "heaviest" if view.heaviest else "point"
    marks: list[Mark] = [
        Photo(soft_photo(part.image, 0.8), part.extent),
        outline(np.array([0, 0, *view.image_size]), MUTED, 1, halo=False, name="frame of the photo"),
        outline(box, SELECTED, 2.5, name="reference box"),
        Lines(np.array([center[0], x]), np.array([center[1], y]), SELECTED, 1.5, name="offset"),
    ]
    size = np.maximum(LARGEST_PX * np.sqrt(view.weights / max(float(view.weights.max()), 1e-9)), SMALLEST_PX)
    for level, (level_name, color, marker) in enumerate(zip(LEVEL_NAMES, LEVEL_COLORS, LEVEL_MARKERS, strict=True)):
        at = np.nonzero(view.level == level)[0]
        at = at[np.argsort(-view.weights[at], kind="stable")]  # small points on top of large ones
        hover = [
            f"head {view.head[i]} · {level_name} · point {view.point[i]}<br>offset {view.offsets[i, 0]:+.2f}, "
            f"{view.offsets[i, 1]:+.2f}<br>at {view.locations_px[i, 0]:.0f}, {view.locations_px[i, 1]:.0f} px<br>"
            f"weight <b>{view.weights[i]:.3f}</b>"
            for i in at
        ]
        xs, ys = view.locations_px[at].T
        marks.append(Points(xs, ys, color, size[at], marker, ON_PHOTO, alpha=0.85, hover=hover, name=level_name))
    marks += [
        Points(center[:1], center[1:], SELECTED, 10, edge=ON_PHOTO, name="reference point"),
        Text(
            x, y, f"{name}, {view.chain.weight:.2f}", PHOTO_HALO, box=ON_PHOTO, leader=True,
            align="left" if x < (region[0] + region[2]) / 2 else "right",
            dx=30 if x < (region[0] + region[2]) / 2 else -30,
            dy=-34 if y < (region[1] + region[3]) / 2 else 34,
        ),
    ]  # fmt: skip
    outside = f", {view.outside} outside the photo" if view.outside else ""
    return photo_panel(
        (0.012, 42, 0.60, 450),
        region,
        marks,
        title=f"What query {view.query} reads in layer {view.layer + 1}",
        subtitle=f"{len(view.weights)} points of {view.whose}{outside}",
    )


def locator(view: DeformableAttentionView, region: Extent) -> Panel:
    """A small photo that shows which part of it is enlarged."""
    small = view.photo.copy()
    small.thumbnail((LOCATOR_PX, LOCATOR_PX))
    width, height = view.image_size
    around = min(0.0, region[0]), min(0.0, region[1]), max(width, region[2]), max(height, region[3])
    enlarged = outline(np.array(region), SELECTED, 1.5, name="enlarged part")
    return photo_panel((0.86, 42, 0.988, 150), around, [Photo(small, (0, 0, width, height)), enlarged], title="Photo")


def chain(view: DeformableAttentionView) -> Panel:
    """One point in numbers, x and y."""
    link = view.chain
    which = "The heaviest point" if view.heaviest else "One point"
    h, w = link.map_size
    columns = (
        ("reference\npoint", link.reference, ".3f"),
        ("raw\noffset", link.offset, "+.2f"),
        ("1/points\nof level", [link.scale] * 2, "× .3f"),
        ("box\nw, h", link.box_size, "× .3f"),
        ("\n", [OFFSET_SCALE] * 2, "× .1f"),
        ("=\nlocation", link.location, ".3f"),
        ("in\npixels", link.location_px, ".0f"),
        (f"cell of\n{w} × {h}", link.cell, ".1f"),
        ("\nweight", [link.weight], ".3f"),
    )
    marks: list[Mark] = [Text(0, row, name, MUTED) for row, name in ((1, "x"), (2, "y"))]
    for i, (name, values, form) in enumerate(columns):
        x = 0.12 + i * 0.88 / (len(columns) - 1)
        color = SELECTED if "location" in name else TEXT
        marks.append(Text(x, 0.25, name, MUTED, align="right", valign="bottom"))
        sign, number = ("× ", form[2:]) if form.startswith("×") else ("", form)
        for row, value in enumerate(values, start=1):
            marks.append(Text(x, row, sign + format(float(value), number).replace("-", "−"), color, align="right"))
    return Panel(
        (0.012, 506, 0.988, 606),
        Axis((0, 1)),
        Axis((2.6, -1.2)),
        marks,
        title=f"{which} in numbers: {name_of(link)}",
        subtitle="location = reference point + raw offset × 1/points × box size × 0.5",
    )
