"""The figure of deformable attention: points on the photo, weights by level and head, one point in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.drawing.colors import (
    LEVEL_COLORS,
    LEVEL_MARKERS,
    LEVEL_NAMES,
    ON_PHOTO,
    PHOTO_HALO,
    SELECTED,
    Palette,
    Theme,
    palette,
)
from rtdetr_explained.drawing.layout import box_outline, photo_part, region_around
from rtdetr_explained.drawing.marks import Axis, Bars, Drawing, Extent, Lines, Mark, Panel, Photo, Points, Text
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.illustrations.deformable_attention.points import OFFSET_SCALE, name_of

if TYPE_CHECKING:
    from rtdetr_explained.illustrations.deformable_attention.view import DeformableAttentionView

HEIGHT = 620
LARGEST_PX = 20  # diameter of the heaviest point; the area of the others follows their weight
SMALLEST_PX = 2.5
LOCATOR_PX = 240  # longest side of the small photo that shows where the large one lies


def drawing(view: DeformableAttentionView, theme: Theme) -> Drawing:
    """The figure as panels."""
    colors = palette(theme)
    region = shown_region(view)
    panels = [sampling(view, region, colors), locator(view, region), by_level(view, colors)]
    return Drawing([*panels, by_head(view, colors), chain(view, colors)], height=HEIGHT)


def shown_region(view: DeformableAttentionView) -> Extent:
    """The part of the photo, and of what lies around it, that holds the box and every point."""
    box = cxcywh_to_xyxy_px(view.box, view.image_size)
    points = np.concatenate([view.locations_px, view.chain.location_px[None]])
    return region_around(np.concatenate([box[None], np.tile(points, 2)]), view.image_size, room=0.12, least=0.25)


def sampling(view: DeformableAttentionView, region: Extent, colors: Palette) -> Panel:
    """The reference box and every point at its place, those outside the photo too."""
    frame_x, frame_y = box_outline(np.array([0, 0, *view.image_size]))
    box_x, box_y = box_outline(cxcywh_to_xyxy_px(view.box, view.image_size))
    center = view.box[:2] * np.array(view.image_size)
    part = photo_part(view.photo, view.image_size, region)
    x, y = view.chain.location_px
    name = "heaviest" if view.heaviest else "point"
    marks: list[Mark] = [
        Photo(soft_photo(part.image, 0.8), part.extent),
        Lines(frame_x, frame_y, colors.muted, 1, name="frame of the photo"),
        Lines(box_x, box_y, SELECTED, 2.5, halo=True, name="reference box"),
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
    heads = f"{len(view.weight_by_head)} heads" if view.selected_head is None else f"head {view.selected_head}"
    if view.selected_level is not None:
        heads += f" on {LEVEL_NAMES[view.selected_level]}"
    outside = f", {view.outside} outside the photo" if view.outside else ""
    return Panel(
        (0.012, 42, 0.60, 450),
        Axis((region[0], region[2])),
        Axis((region[3], region[1])),
        marks,
        title=f"What query {view.query} reads in layer {view.layer + 1}",
        subtitle=f"{len(view.weights)} points of {heads}{outside}",
        ratio=1,
    )


def locator(view: DeformableAttentionView, region: Extent) -> Panel:
    """A small photo that shows which part of it is enlarged."""
    small = view.photo.copy()
    small.thumbnail((LOCATOR_PX, LOCATOR_PX))
    width, height = view.image_size
    x, y = box_outline(np.array(region))
    extent = min(0.0, region[0]), min(0.0, region[1]), max(width, region[2]), max(height, region[3])
    return Panel(
        (0.86, 42, 0.988, 150),
        Axis((extent[0], extent[2])),
        Axis((extent[3], extent[1])),
        [Photo(small, (0, 0, width, height)), Lines(x, y, SELECTED, 1.5, halo=True, name="enlarged part")],
        title="Photo",
        ratio=1,
    )


def by_level(view: DeformableAttentionView, colors: Palette) -> Panel:
    """The share of each level in the weight of the points shown."""
    top = float(view.weight_by_level.max()) or 1.0  # a head can be without weight after edits
    marks: list[Mark] = []
    for level, (name, color, share) in enumerate(zip(LEVEL_NAMES, LEVEL_COLORS, view.weight_by_level, strict=True)):
        hover = [f"{name}: {share:.3f} of the weight"]
        marks.append(Bars(np.array([level]), np.array([share]), color, hover=hover, name=name))
        marks.append(
            Points(np.array([-0.22 * top]), np.array([level]), color, 9, LEVEL_MARKERS[level], name=f"key {name}")
        )
        marks.append(Text(float(share), level, f"{share:.2f}", colors.text, dx=4))
    return Panel(
        (0.655, 42, 0.83, 122),
        Axis((-0.4 * top, 1.45 * top)),
        Axis((2.6, -0.6), "", (0, 1, 2), LEVEL_NAMES),
        marks,
        title="By level",
        subtitle="weight share",
    )


def by_head(view: DeformableAttentionView, colors: Palette) -> Panel:
    """One bar for each head, parted by level; the weights of a head sum to one."""
    rows = np.arange(len(view.weight_by_head))
    left = np.zeros(len(rows), dtype=np.float32)
    marks: list[Mark] = []
    for level, (name, color) in enumerate(zip(LEVEL_NAMES, LEVEL_COLORS, strict=True)):
        width = view.weight_by_head[:, level]
        hover = [f"head {head} · {name}: <b>{value:.3f}</b>" for head, value in zip(rows, width, strict=True)]
        marks.append(Bars(rows, width, color, left, hover=hover, name=f"{name} by head"))
        left = left + width
    if view.selected_head is not None:
        x, y = box_outline(np.array([0, view.selected_head - 0.45, 1, view.selected_head + 0.45]))
        marks.append(Lines(x, y, colors.text, 2, name="selected head"))
    return Panel(
        (0.70, 196, 0.988, 420),
        Axis((-0.01, 1.01), "weight", (0, 0.5, 1)),
        Axis((len(rows) - 0.4, -0.6), "", rows.tolist(), [f"head {head}" for head in rows]),
        marks,
        title="By head",
        subtitle="each head sums to 1",
    )


def chain(view: DeformableAttentionView, colors: Palette) -> Panel:
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
    marks: list[Mark] = [Text(0, row, name, colors.muted) for row, name in ((1, "x"), (2, "y"))]
    for i, (name, values, form) in enumerate(columns):
        x = 0.12 + i * 0.88 / (len(columns) - 1)
        color = SELECTED if "location" in name else colors.text
        marks.append(Text(x, 0.25, name, colors.muted, align="right", valign="bottom"))
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
