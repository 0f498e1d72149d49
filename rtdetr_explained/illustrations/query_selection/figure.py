"""The figure of query selection: the score maps over the photo, and below them the steps, also drawn alone."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rtdetr_explained.drawing.colors import (
    COMPARED,
    LEVEL_COLORS,
    LEVEL_MARKERS,
    LEVEL_NAMES,
    ON_PHOTO,
    OVERLAY,
    PHOTO_HALO,
    SELECTED,
)
from rtdetr_explained.drawing.maps import map_panel
from rtdetr_explained.drawing.marks import Axis, Drawing, Heat, Lines, Mark, Panel, Photo, Picture, Points, Shape
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.illustrations.query_selection.steps import STEPS_HEIGHT, steps
from rtdetr_explained.illustrations.query_selection.tokens import CLEAR, log_scores, log_ticks, score_range
from rtdetr_explained.illustrations.query_selection.view import QuerySelectionView

MAPS_HEIGHT = 256  # pixels
MAP_PHOTO_PX = 320  # longest side of the photo below a map


def picture(view: QuerySelectionView) -> Picture:
    """The whole figure: the maps, and the steps below them."""
    small = soft_photo(view.photo)
    small.thumbnail((MAP_PHOTO_PX, MAP_PHOTO_PX))
    maps = [score_map(view, level, small) for level in range(len(view.chosen))]
    panels = [*maps, score_bar(view), *steps(view, MAPS_HEIGHT, right=0.62)]
    alt_text = (
        "Score maps of the levels S3, S4 and S5 over the photo with the chosen cells and near misses marked, the share "
        "of each level and class, the curve of all scores in order with the cut at "
        f"{view.cutoff:.2g}, and on the photo the cell, the anchor and the first box of query {view.query}. "
        + caption(view)
    )
    return Picture(Drawing(panels, height=MAPS_HEIGHT + STEPS_HEIGHT), caption(view), alt_text, table(view))


def picture_without_maps(view: QuerySelectionView) -> Picture:
    """The steps alone, for a page that draws the maps by itself."""
    alt_text = (
        f"The share of each level and class among the {view.kept} chosen cells, the curve of all scores in order with "
        f"the cut at {view.cutoff:.2g}, and on the photo the cell, the anchor and the first box of query {view.query}, "
        "with the numbers between them. " + caption(view)
    )
    return Picture(Drawing(steps(view), height=STEPS_HEIGHT), caption(view), alt_text, table(view))


def score_map(view: QuerySelectionView, level: int, photo: Image.Image) -> Panel:
    """One level's scores over the photo, with the chosen cells, the near misses and what a re-run changed."""
    scores = view.level_scores[level]
    h, w = scores.shape
    name, marker = LEVEL_NAMES[level], LEVEL_MARKERS[level]
    low, high = score_range(view.sorted_scores, CLEAR)
    extent = (-0.5, -0.5, w - 0.5, h - 0.5)
    hover = f"{name} · row %{{y}}, column %{{x}}<br>best class score <b>%{{customdata:.4f}}</b>"
    marks: list[Mark] = [
        Photo(photo, extent),
        Heat(log_scores(scores), extent, low, high, OVERLAY, scores, hover),
        *cell_marks(view, level),
    ]
    if level == view.level:
        here = [f"selected: query {view.query} · row {view.row}, column {view.col}<br>score <b>{view.score:.3f}</b>"]
        x, y = np.array([view.col]), np.array([view.row])
        marks.append(Points(x, y, SELECTED, 10, marker, ON_PHOTO, hover=here, name="selected query"))
    left = 0.012 + 0.331 * level
    cells = len(np.unique(view.chosen[level][:, 1:], axis=0))
    return map_panel(
        (left, 42, left + 0.314, 240),
        (h, w),
        view.image_size,
        marks,
        title=f"{name} · {h} × {w}",
        subtitle=f"{cells} of {scores.size:,} cells: {view.share[level]:.0%} of the chosen",
    )


def cell_marks(view: QuerySelectionView, level: int) -> list[Mark]:
    """Filled markers on chosen cells, open ones on near misses; in sky what a re-run gained and, crossed out, lost."""
    scores, cells, near = view.level_scores[level], view.chosen[level], view.near[level]
    name, marker = LEVEL_NAMES[level], LEVEL_MARKERS[level]
    size = max(3.5, min(7.0, 150 / scores.shape[1]))
    chosen = [f"query {q} · {name} · row {r}, column {c}<br>score <b>{scores[r, c]:.3f}</b>" for q, r, c in cells]
    missed = [f"near miss · {name} · row {r}, column {c}<br>score <b>{scores[r, c]:.3f}</b>" for r, c in near]
    marks: list[Mark] = [
        Points(near[:, 1], near[:, 0], ON_PHOTO, size, marker, open=True, hover=missed, name=f"near miss on {name}"),
        Points(
            cells[:, 2],
            cells[:, 1],
            LEVEL_COLORS[level],
            size,
            marker,
            ON_PHOTO,
            hover=chosen,
            ids=cells[:, 0],
            name=f"chosen on {name}",
        ),
    ]
    if view.change is not None:
        every = view.tokens
        changes: tuple[tuple[str, Shape, np.ndarray], ...]
        changes = (("gained", marker, view.change.gained), ("lost", "cross", view.change.lost))
        for verb, shape, which in changes:
            here = which[every.levels[which] == level]
            words = [f"{verb} in the re-run · {every.place(token)}" for token in here]
            x, y = every.cols[here], every.rows[here]
            marks.append(Points(x, y, COMPARED, size + 1, shape, PHOTO_HALO, hover=words, name=f"{verb} on {name}"))
    return marks


def score_bar(view: QuerySelectionView) -> Panel:
    """The colour bar of the three maps, with the cut."""
    low, high = score_range(view.sorted_scores, CLEAR)
    ramp, ticks = np.linspace(low, high, 64)[None], log_ticks(low, high)
    cut = float(log_scores(np.array(view.cutoff)))
    hover = [f"cut-off {view.cutoff:.3g}"] * 2
    return Panel(
        (0.674, MAPS_HEIGHT + 26, 0.965, MAPS_HEIGHT + 40),
        Axis((low, high), "", ticks, [f"{10**t:.2g}" for t in ticks]),
        Axis((0, 1)),
        [
            Heat(ramp, (low, 0, high, 1), low, high, (PHOTO_HALO, OVERLAY[-1][:7])),
            Lines(np.array([cut, cut]), np.array([0, 1]), SELECTED, 3, hover=hover, name="cut on the bar"),
        ],
        title="Best class score",
    )


def caption(view: QuerySelectionView) -> str:
    """One sentence saying what is seen."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in zip(LEVEL_NAMES, view.share, strict=True))
    return (
        f"The best {view.kept:,} of {len(view.sorted_scores):,} cells are kept, down to a score of {view.cutoff:.2g} "
        f"({shares}); query {view.query} comes from {LEVEL_NAMES[view.level]}, row {view.row}, column {view.col}, and "
        f"takes “{view.class_name}” for its best class with {view.score:.2f}."
    )


def table(view: QuerySelectionView) -> dict[str, list]:
    """All chosen cells, in the order of the queries."""
    rows = sorted(
        (int(q), LEVEL_NAMES[level], int(r), int(c), float(view.level_scores[level][r, c]))
        for level in view.shown
        for q, r, c in view.chosen[level]
    )
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 5
    return dict(zip(("query", "level", "row", "column", "score"), columns, strict=True))
