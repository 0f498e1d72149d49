"""The figure of query selection: score maps, shares, curve of scores, and the way from a cell to its first box."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rtdetr_explained.illustrations.colors import (
    LEVEL_COLORS,
    LEVEL_NAMES,
    ON_PHOTO,
    PHOTO_HALO,
    SELECTED,
    SEQUENTIAL,
    Palette,
    palette,
    text_on,
)
from rtdetr_explained.illustrations.drawing import LEVEL_MARKERS, cxcywh_to_xyxy_px, map_panel
from rtdetr_explained.illustrations.marks import (
    Axis,
    Bars,
    Drawing,
    Heat,
    Lines,
    Mark,
    Panel,
    Points,
    Text,
    area_px,
    box_outline,
    photo_part,
    region_around,
)

if TYPE_CHECKING:
    from rtdetr_explained.illustrations.query_selection import QuerySelectionView

LOWEST = 1e-4  # scores below it look alike
HEIGHT = 640
BOX_AXES = ("cx", "cy", "w", "h")


def drawing(view: QuerySelectionView, theme: str) -> Drawing:
    """The figure as panels."""
    colors = palette(theme)
    low = math.log10(max(LOWEST, view.sorted_scores[-1]))
    high = math.log10(view.sorted_scores[0])
    maps = [score_map(view, level, low, high) for level in range(3)]
    return Drawing(
        [*maps, score_bar(view, low, high, colors), shares(view), on_photo(view), chain(view, colors)]
        + [curve(view, low, high, colors)],
        height=HEIGHT,
    )


def log_scores(scores: np.ndarray) -> np.ndarray:
    """log10 of probabilities, so that the cut between weak scores can be seen."""
    return np.log10(np.maximum(scores, LOWEST))


def log_ticks(low: float, high: float) -> list[float]:
    """Exponents of round numbers between two exponents: powers of ten, and what lies between where they are few."""
    ticks: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5)):
        ticks = [k + math.log10(s) for k in range(math.floor(low), math.ceil(high) + 1) for s in steps]
        ticks = [t for t in ticks if low <= t <= high]
        if len(ticks) > 2:
            return ticks
    return ticks if len(ticks) > 1 else [low, high]


def score_map(view: QuerySelectionView, level: int, low: float, high: float) -> Panel:
    """One level's scores at its true grid, with the chosen cells."""
    scores, cells = view.level_scores[level], view.chosen[level]
    h, w = scores.shape
    name, marker = LEVEL_NAMES[level], LEVEL_MARKERS[level]
    hover = f"{name} · row %{{y}}, column %{{x}}<br>best class probability <b>%{{customdata:.4f}}</b>"
    chosen = [f"query {q} · {name} · row {r}, column {c}<br>score <b>{scores[r, c]:.3f}</b>" for q, r, c in cells]
    size = max(3.5, min(6.0, 130 / w))
    marks: list[Mark] = [
        Heat(log_scores(scores), (-0.5, -0.5, w - 0.5, h - 0.5), low, high, SEQUENTIAL, scores, hover),
        Points(
            cells[:, 2],
            cells[:, 1],
            ON_PHOTO,
            size,
            marker,
            PHOTO_HALO,
            hover=chosen,
            ids=cells[:, 0],
            name=f"chosen on {name}",
        ),
    ]
    if level == view.level:
        here = [f"selected: query {view.query} · row {view.row}, column {view.col}<br>score <b>{view.score:.3f}</b>"]
        x, y = np.array([view.col]), np.array([view.row])
        marks.append(Points(x, y, SELECTED, 10, marker, ON_PHOTO, hover=here, name="selected query"))
    left = 0.012 + 0.331 * level
    return map_panel(
        area_px(HEIGHT, left, 42, left + 0.314, 240),
        (h, w),
        view.image_size,
        marks,
        title=f"{name} · {h} × {w}",
        subtitle=f"{len(np.unique(cells[:, 1:], axis=0))} of {scores.size:,} chosen ({view.share[level]:.0%})",
    )


def score_bar(view: QuerySelectionView, low: float, high: float, colors: Palette) -> Panel:
    """The colour bar of the three maps, with the cut."""
    ramp, ticks = np.linspace(low, high, 64)[None], log_ticks(low, high)
    cut = float(log_scores(np.array(view.cutoff)))
    hover = [f"cut-off {view.cutoff:.3g}"] * 2
    return Panel(
        area_px(HEIGHT, 0.674, 272, 0.965, 286),
        Axis((low, high), "", ticks, [f"{10**t:.2g}" for t in ticks]),
        Axis((0, 1)),
        [
            Heat(ramp, (low, 0, high, 1), low, high, SEQUENTIAL),
            Lines(np.array([cut, cut]), np.array([0, 1]), SELECTED, 3, hover=hover, name="cut on the bar"),
        ],
        title="Best class probability",
    )  # fmt: skip


def shares(view: QuerySelectionView) -> Panel:
    """One bar, parted by level."""
    marks: list[Mark] = []
    left = 0.0
    for name, color, share in zip(LEVEL_NAMES, LEVEL_COLORS, view.share, strict=True):
        hover = [f"{name}: {share:.1%} of the chosen cells"]
        marks.append(Bars(np.array([0.5]), np.array([share]), color, left, 1.0, hover, name))
        if share > 0.15:
            marks.append(Text(left + share / 2, 0.5, f"{name} {share:.0%}", text_on(color), align="center", bold=True))
        left += share
    return Panel(
        area_px(HEIGHT, 0.012, 272, 0.62, 290),
        Axis((0, 1)),
        Axis((0, 1)),
        marks,
        title=f"Levels of the {view.kept} chosen cells",
    )


def on_photo(view: QuerySelectionView) -> Panel:
    """Cell, anchor and first box on the photo."""
    h, w = view.level_scores[view.level].shape
    cell = np.array([(view.col + 0.5) / w, (view.row + 0.5) / h, 1 / w, 1 / h])
    boxes = cxcywh_to_xyxy_px(np.stack([cell, view.anchor, view.box]), view.image_size)
    region = region_around(boxes, view.image_size)
    marks: list[Mark] = [photo_part(view.photo, view.image_size, region)]
    for name, box, color, dash in (
        ("cell", cell, ON_PHOTO, "solid"),
        ("anchor", view.anchor, ON_PHOTO, "dash"),
        ("first box", view.box, SELECTED, "solid"),
    ):
        x, y = box_outline(cxcywh_to_xyxy_px(box, view.image_size))
        hover = [f"{name}: cx {box[0]:.3f}, cy {box[1]:.3f}, w {box[2]:.3f}, h {box[3]:.3f}"] * len(x)
        marks.append(Lines(x, y, color, 2, dash, halo=True, hover=hover, name=name))
    (cell_px, anchor_px, box_px) = boxes
    marks += [
        Text(box_px[0], box_px[1], "first box", SELECTED, valign="bottom", dy=3, bold=True, box=ON_PHOTO),
        Text(anchor_px[2], anchor_px[3], "anchor", ON_PHOTO, align="right", valign="top", dy=-3, box=PHOTO_HALO),
        Text(cell_px[0], cell_px[3], "cell", ON_PHOTO, align="right", dx=-24, dy=-14, box=PHOTO_HALO, leader=True),
    ]
    return Panel(
        area_px(HEIGHT, 0.012, 346, 0.37, 622),
        Axis((region[0], region[2])),
        Axis((region[3], region[1])),
        marks,
        title=f"Query {view.query} · {view.class_name} {view.score:.2f}",
        subtitle=f"cell at row {view.row}, column {view.col} of {LEVEL_NAMES[view.level]}",
        ratio=1,
    )


def chain(view: QuerySelectionView, colors: Palette) -> Panel:
    """The numbers between the cell and its first box."""
    size = np.tile(view.image_size, 2)
    rows = (
        ("anchor", view.anchor, ".3f", colors.text),
        ("its logit", view.anchor_logit, "+.2f", colors.muted),
        ("+ offset", view.offset, "+.2f", colors.text),
        ("= its logit", view.box_logit, "+.2f", colors.muted),
        ("first box", view.box, ".3f", SELECTED),
        ("in pixels", view.box * size, ".0f", SELECTED),
    )
    columns = (0.46, 0.64, 0.82, 1.0)
    marks: list[Mark] = [
        Text(x, 0, name, colors.muted, align="right") for x, name in zip(columns, BOX_AXES, strict=True)
    ]
    for i, (name, values, form, color) in enumerate(rows, start=1):
        marks.append(Text(0, i, name, color))
        for x, value in zip(columns, values, strict=True):
            text = format(float(value), form).replace("-", "−") if np.isfinite(value) else "–"
            marks.append(Text(x, i, text, color, align="right"))
    return Panel(
        area_px(HEIGHT, 0.41, 336, 0.985, 446),
        Axis((0, 1)),
        Axis((6.5, -0.5)),
        marks,
        title="From the anchor to the first box",
    )


def curve(view: QuerySelectionView, low: float, high: float, colors: Palette) -> Panel:
    """All scores from the best down, on two logarithmic axes, with the cut."""
    rank = np.log10(np.arange(1, len(view.sorted_scores) + 1))
    scores = log_scores(view.sorted_scores)
    marks: list[Mark] = [Lines(rank, scores, colors.grey, 1.5, name="all cells")]
    for level, (name, color) in enumerate(zip(LEVEL_NAMES, LEVEL_COLORS, strict=True)):
        at = np.nonzero(view.sorted_levels[: view.kept] == level)[0]
        hover = [f"rank {i + 1} · {name}<br>score <b>{view.sorted_scores[i]:.3f}</b>" for i in at]
        marks.append(Points(rank[at], scores[at], color, 5, LEVEL_MARKERS[level], hover=hover, name=f"chosen, {name}"))
    x, marker = math.log10(view.kept), LEVEL_MARKERS[view.level]
    here = f"query {view.query} · rank {view.rank}<br>score <b>{view.score:.3f}</b>"
    marks += [
        Lines(np.array([x, x]), np.array([low, high]), SELECTED, 1.5, "dash", name="cut"),
        Text(x, low, f"cut-off {view.cutoff:.2g} at rank {view.kept}", SELECTED, align="right", valign="bottom", dx=-5),
        Points(np.array([math.log10(view.rank)]), log_scores(np.array([view.score])), SELECTED, 9, marker,
               colors.background, hover=[here], name="selected query"),
    ]  # fmt: skip
    ticks, ranks = log_ticks(low, high), log_ticks(0, float(rank[-1]))
    return Panel(
        area_px(HEIGHT, 0.475, 478, 0.985, 590),
        Axis((-0.05, float(rank[-1]) + 0.05), "rank of the cell", ranks, [f"{10**t:,.0f}" for t in ranks]),
        Axis((low, high + 0.06 * (high - low)), "score", ticks, [f"{10**t:.2g}" for t in ticks], grid=True),
        marks,
        title="All scores, best first",
    )
