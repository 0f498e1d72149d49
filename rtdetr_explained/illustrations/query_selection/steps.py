"""The steps of query selection as panels: shares, the way from a cell to its first box, curve of scores, classes."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.drawing.colors import (
    BACKGROUND,
    COMPARED,
    GREY,
    LEVEL_COLORS,
    LEVEL_MARKERS,
    LEVEL_NAMES,
    MUTED,
    ON_PHOTO,
    PHOTO_HALO,
    SELECTED,
    TEXT,
    text_on,
)
from rtdetr_explained.drawing.layout import outline, photo_panel, photo_part, region_around
from rtdetr_explained.drawing.marks import Area, Axis, Bars, Dash, Lines, Mark, Panel, Points, Text
from rtdetr_explained.drawing.text import short_name
from rtdetr_explained.illustrations.query_selection.tokens import log_scores, log_ticks, score_range
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView

STEPS_HEIGHT = 536  # pixels
BOX_AXES = ("cx", "cy", "w", "h")
MOST_CLASSES = 7


def steps(view: QuerySelectionView, top: int = 0, right: float = 0.985) -> list[Panel]:
    """All panels, from `top` pixels on; the bar of shares ends at `right`, a fraction of the width."""
    return [
        shares(view, (0.012, top + 24, right, top + 42)),
        on_photo(view, (0.012, top + 104, 0.37, top + 304)),
        chain(view, (0.38, top + 88, 0.985, top + 112 + 22 * len(chain_rows(view)))),
        curve(view, (0.075, top + 354, 0.585, top + 496)),
        classes(view, (0.74, top + 354, 0.985, top + 496)),
    ]


def shares(view: QuerySelectionView, area: Area) -> Panel:
    """One bar, parted by level; what is too narrow for its words has them below."""
    marks: list[Mark] = []
    left = 0.0
    below: list[tuple[float, list[str]]] = []  # words of narrow parts beside each other, and where the last one begins
    for name, color, share in zip(LEVEL_NAMES, LEVEL_COLORS, view.share, strict=True):
        hover = [f"{name}: {share:.1%} of the chosen cells"]
        marks.append(Bars(np.array([0.5]), np.array([share]), color, left, 1.0, hover, name))
        words = f"{name} {share:.0%}"
        if share > 0.1:
            marks.append(Text(left + share / 2, 0.5, words, text_on(color), align="center", bold=True))
        else:
            beside = below.pop()[1] if below and left - below[-1][0] <= 0.1 else []
            below.append((left, [*beside, words]))
        left += share
    for at, words in below:
        align, x = ("left", at) if at < 0.5 else ("right", 1.0)
        marks.append(Text(x, 0, " · ".join(words), TEXT, align=align, valign="top", dy=-2))
    return Panel(area, Axis((0, 1)), Axis((0, 1)), marks, title=f"Levels of the {view.kept} chosen cells")


def on_photo(view: QuerySelectionView, area: Area) -> Panel:
    """Cell, anchor and first box on the photo."""
    h, w = view.level_scores[view.level].shape
    cell = np.array([(view.col + 0.5) / w, (view.row + 0.5) / h, 1 / w, 1 / h])
    boxes = cxcywh_to_xyxy_px(np.stack([cell, view.anchor, view.box]), view.image_size)
    region = region_around(boxes, view.image_size)
    marks: list[Mark] = [photo_part(view.photo, view.image_size, region)]
    size, form = unit_of(view)
    kinds: tuple[tuple[str, np.ndarray, str, Dash], ...] = (
        ("cell", cell, ON_PHOTO, "solid"),
        ("anchor", view.anchor, ON_PHOTO, "dash"),
        ("first box", view.box, SELECTED, "solid"),
    )
    for name, box, color, dash in kinds:
        numbers = ", ".join(f"{axis} {value:{form}}" for axis, value in zip(BOX_AXES, box * size, strict=True))
        numbers = numbers.replace("-", "−")
        corners = cxcywh_to_xyxy_px(box, view.image_size)
        marks.append(outline(corners, color, 2, dash, hover=f"{name}: {numbers}", name=name))
    (cell_px, anchor_px, box_px) = boxes
    marks += [
        Text(box_px[0], box_px[1], "first box", SELECTED, valign="bottom", dy=3, bold=True, box=ON_PHOTO),
        Text(anchor_px[2], anchor_px[3], "anchor", ON_PHOTO, align="right", valign="top", dy=-3, box=PHOTO_HALO),
        Text(cell_px[0], cell_px[3], "cell", ON_PHOTO, align="right", dx=-24, dy=-14, box=PHOTO_HALO, leader=True),
    ]
    return photo_panel(
        area,
        region,
        marks,
        title=f"Query {view.query} · {view.class_name} {view.score:.2f}",
        subtitle=f"cell at row {view.row}, column {view.col} of {LEVEL_NAMES[view.level]}",
    )


def unit_of(view: QuerySelectionView) -> tuple[np.ndarray, str]:
    """What turns 0..1 into the unit of positions, (4,), and the format of numbers in it."""
    return (np.tile(view.image_size, 2), ".0f") if view.unit == "px" else (np.ones(4), ".3f")


def chain_rows(view: QuerySelectionView) -> list[tuple[str, np.ndarray, str]]:
    """The numbers between the cell and its first box: name, four numbers, format. In pixels, too, where asked for."""
    size = np.tile(view.image_size, 2)
    rows = [
        ("anchor of the cell, 0..1", view.anchor, ".3f"),
        ("its logit, ln(a ∕ (1 − a))", view.anchor_logit, "+.2f"),
        ("+ predicted offset", view.offset, "+.2f"),
        ("= logit of the first box", view.box_logit, "+.2f"),
        ("first box by sigmoid, 0..1", view.box, ".3f"),
    ]
    if view.unit == "px":
        rows = [("anchor of the cell, px", view.anchor * size, ".0f"), *rows]
        rows.append(("first box, px", view.box * size, ".0f"))
    return rows


def chain(view: QuerySelectionView, area: Area) -> Panel:
    """The numbers between the cell and its first box as a small table."""
    rows = chain_rows(view)
    columns = (0.58, 0.72, 0.86, 1.0)
    marks: list[Mark] = [Text(x, 0, name, MUTED, align="right") for x, name in zip(columns, BOX_AXES, strict=True)]
    for i, (name, values, form) in enumerate(rows, start=1):
        color = SELECTED if name.startswith("first box") else MUTED if "logit" in name else TEXT
        marks.append(Text(0, i, name, color))
        for x, value in zip(columns, values, strict=True):
            text = format(float(value), form).replace("-", "−") if np.isfinite(value) else "–"
            marks.append(Text(x, i, text, color, align="right"))
    return Panel(
        area, Axis((0, 1)), Axis((len(rows) + 0.5, -0.5)), marks, title="From the cell to the first box"
    )  # fmt: skip


def curve(view: QuerySelectionView, area: Area) -> Panel:
    """All scores from the best down, on two logarithmic axes, with the cut."""
    low, high = score_range(view.sorted_scores)
    every, rank = view.tokens, np.log10(np.arange(1, len(view.sorted_scores) + 1))
    scores = log_scores(view.sorted_scores)
    marks: list[Mark] = [Lines(rank, scores, GREY, 1.5, name="all cells")]
    for level in view.shown:
        name, marker = LEVEL_NAMES[level], LEVEL_MARKERS[level]
        of_level = view.sorted_levels == level
        at = np.flatnonzero(of_level & every.near[every.order])
        hover = [f"rank {i + 1} · near miss on {name}<br>score <b>{view.sorted_scores[i]:.3f}</b>" for i in at]
        marks.append(Points(rank[at], scores[at], GREY, 5, marker, open=True, hover=hover, name=f"near misses, {name}"))
        at = np.flatnonzero(of_level & every.chosen[every.order])
        queries = every.queries[every.order[at]]
        hover = [
            f"rank {i + 1} · query {q} on {name}<br>score <b>{view.sorted_scores[i]:.3f}</b>"
            for i, q in zip(at, queries, strict=True)
        ]
        marks.append(
            Points(rank[at], scores[at], LEVEL_COLORS[level], 5.5, marker, None, hover=hover, ids=queries,
                   name=f"chosen, {name}")
        )  # fmt: skip
    marks += cuts(view, low, high)
    here = f"query {view.query} · rank {view.rank}<br>score <b>{view.score:.3f}</b>"
    x, y = np.array([math.log10(view.rank)]), log_scores(np.array([view.score]))
    marks.append(Points(x, y, SELECTED, 9, LEVEL_MARKERS[view.level], BACKGROUND, hover=[here], name="selected query"))
    if view.place is not None:
        best = view.place.best
        x, y = np.array([math.log10(best.rank)]), log_scores(np.array([best.score]))
        words = [f"best cell of the place: {best.where}<br>rank {best.rank}, score <b>{best.score:.3g}</b>"]
        marks.append(Points(x, y, TEXT, 7, "cross", hover=words, name="place"))
        # Right of a falling curve there is room above it; at the top, where it falls slowly, only below it.
        valign, dy = ("top", -7) if y[0] > low + 0.85 * (high - low) else ("bottom", 4)
        marks.append(Text(float(x[0]), float(y[0]), "place", TEXT, valign=valign, dx=5, dy=dy, box=BACKGROUND))
    ticks, ranks = log_ticks(low, high), log_ticks(0, float(rank[-1]))
    return Panel(
        area,
        Axis((-0.05, float(rank[-1]) + 0.05), "rank of the cell", ranks, [f"{10**t:,.0f}" for t in ranks]),
        Axis((low, high + 0.06 * (high - low)), "score", ticks, [f"{10**t:.2g}" for t in ticks], grid=True),
        marks,
        title="All scores, best first",
    )


def cuts(view: QuerySelectionView, low: float, high: float) -> list[Mark]:
    """The cut, and that of a re-run."""
    x, ground = math.log10(view.kept), BACKGROUND
    line: Mark = Lines(np.array([x, x]), np.array([low, high]), SELECTED, 1.5, "dash", name="cut")
    words = f"cut-off {view.cutoff:.2g} at rank {view.kept}"
    text: Mark = Text(x, low, words, SELECTED, align="right", valign="bottom", dx=-5, box=ground)
    if view.change is None:
        return [line, text]
    x, words = math.log10(view.change.kept_after), f"re-run: {view.change.cutoff_after:.2g}"
    right = view.change.kept_after > view.kept or x < 1  # where there is room for the words
    align, dx = ("left", 5) if right else ("right", -5)
    again: Mark = Lines(np.array([x, x]), np.array([low, high]), COMPARED, 1.5, "dot", name="cut of the re-run")
    # Words come after both lines: each of these may run where the words of the other stand.
    return [line, again, text, Text(x, low, words, COMPARED, align=align, valign="bottom", dx=dx, dy=17, box=ground)]


def classes(view: QuerySelectionView, area: Area) -> Panel:
    """The best classes of the chosen cells, one bar each, parted by level."""
    counted = [
        (name, [n if level in view.shown else 0 for level, n in enumerate(ns)]) for name, ns in view.class_shares
    ]
    counted = sorted((row for row in counted if sum(row[1])), key=lambda row: -sum(row[1]))
    shown, others = counted[:MOST_CLASSES], counted[MOST_CLASSES:]
    if others:
        shown = [*shown[:-1], (f"{len(others) + 1} others", np.sum([ns for _, ns in [shown[-1], *others]], 0).tolist())]
    counts = np.array([ns for _, ns in shown]).reshape(-1, len(LEVEL_NAMES))
    y = np.arange(len(shown))
    left = np.cumsum(counts, 1) - counts
    marks: list[Mark] = []
    for level in view.shown:
        hover = [f"{escape(name)}: {ns[level]} cells of {LEVEL_NAMES[level]}" for name, ns in shown]
        marks.append(
            Bars(y, counts[:, level], LEVEL_COLORS[level], left[:, level], 0.7, hover, f"{LEVEL_NAMES[level]} by class")
        )
    most = float(counts.sum(1).max(initial=1))
    for i, (name, ns) in enumerate(shown):
        marks.append(Text(0, i, short_name(name), TEXT, align="right", dx=-5))
        marks.append(Text(float(sum(ns)), i, f"{sum(ns)}", MUTED, dx=4))
    return Panel(
        area, Axis((0, most * 1.15)), Axis((MOST_CLASSES - 0.4, -0.6)), marks, title="Chosen, by best class"
    )  # fmt: skip
