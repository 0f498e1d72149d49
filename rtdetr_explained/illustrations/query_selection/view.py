"""Query selection: which cells of the three maps become queries, and how a cell becomes a first box, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rtdetr_explained.drawing.colors import LEVEL_NAMES
from rtdetr_explained.illustrations.query_selection.change import SelectionChange
from rtdetr_explained.illustrations.query_selection.place import PlaceReport
from rtdetr_explained.illustrations.query_selection.tokens import Tokens, tokens
from rtdetr_explained.tracing.choice import Choice, Unit


@dataclass(frozen=True, eq=False)
class QuerySelectionView:
    """What the figure shows. Scores are sigmoids of logits, 0..1; boxes are cxcywh in 0..1 of the image, on four axes.

    `level_scores[l]` (h, w) holds the best class score of each cell, `chosen[l]` (n, 3) the query, row and column
    of each chosen cell and `near[l]` (n, 2) row and column of those just below the cut. `sorted_scores` (N,) are all
    scores from the best down, `sorted_levels` (N,) their levels; the first `kept` of them are chosen and the last of
    these has the score `cutoff`. `class_shares` are the best classes of the chosen cells, each with its count per
    level, most frequent first. `offset` is derived: logit(first box) − logit(anchor), not a number where the anchor is
    not valid. `unit` is that of positions, "px" or "image"; `only` one level whose cells are shown alone. `change` is a
    re-run to compare with, `place` a place that was asked about.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    tokens: Tokens
    level_scores: tuple[np.ndarray, ...]
    chosen: tuple[np.ndarray, ...]
    near: tuple[np.ndarray, ...]
    sorted_scores: np.ndarray
    sorted_levels: np.ndarray
    class_shares: tuple[tuple[str, tuple[int, ...]], ...]
    kept: int
    num_queries: int
    cutoff: float
    query: int
    level: int
    row: int
    col: int
    score: float
    rank: int
    class_name: str
    anchor: np.ndarray
    anchor_logit: np.ndarray
    offset: np.ndarray
    box_logit: np.ndarray
    box: np.ndarray
    unit: Unit
    only: int | None
    change: SelectionChange | None
    place: PlaceReport | None

    @property
    def share(self) -> tuple[float, ...]:
        """Share of each level among the chosen cells."""
        return tuple(np.mean(self.sorted_levels[: self.kept] == level).item() for level in range(len(self.chosen)))

    @property
    def shown(self) -> tuple[int, ...]:
        """The levels whose cells are shown."""
        return tuple(range(len(self.chosen))) if self.only is None else (self.only,)


def view(choice: Choice, change: SelectionChange | None = None, place: PlaceReport | None = None) -> QuerySelectionView:
    """What query selection did in this trace, with the way of one query from its cell to its first box."""
    trace, origin = choice.trace, choice.path
    every = tokens(trace)
    sizes = [h * w for h, w in trace.map_sizes]
    starts = np.cumsum([0, *sizes])
    of_queries = every.levels[trace.token_indices]  # Q
    chosen, near = [], []
    for level in range(len(sizes)):
        queries = np.flatnonzero(of_queries == level)
        cells = trace.token_indices[queries]
        chosen.append(np.stack([queries, every.rows[cells], every.cols[cells]], axis=1))
        missed = np.flatnonzero(every.near & (every.levels == level))
        near.append(np.stack([every.rows[missed], every.cols[missed]], axis=1))
    anchor_logit = trace["query_selection.anchors"].array[origin.token]
    box = origin.reference_boxes[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        box_logit = np.log(box.astype(float) / (1 - box.astype(float)))
        offset = box_logit - anchor_logit
    return QuerySelectionView(
        photo=trace.photo,
        image_size=trace.image_size,
        tokens=every,
        level_scores=tuple(
            every.scores[a:b].reshape(size) for a, b, size in zip(starts, starts[1:], trace.map_sizes, strict=False)
        ),
        chosen=tuple(chosen),
        near=tuple(near),
        sorted_scores=every.scores[every.order],
        sorted_levels=every.levels[every.order],
        class_shares=class_shares(every),
        kept=every.kept,
        num_queries=len(trace.token_indices),
        cutoff=every.cutoff,
        query=choice.query,
        level=origin.level,
        row=origin.row,
        col=origin.col,
        score=float(every.scores[origin.token]),
        rank=int(every.ranks[origin.token]),
        class_name=every.class_name(origin.token),
        anchor=origin.anchor,
        anchor_logit=anchor_logit,
        offset=offset,
        box_logit=box_logit,
        box=box,
        unit=choice.unit,
        only=choice.level,
        change=change,
        place=place,
    )


def class_shares(every: Tokens) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Best class of the chosen cells, with the number of cells on each level, most frequent class first."""
    cells = np.flatnonzero(every.chosen)
    labels, counts = np.unique(every.labels[cells], return_counts=True)
    shares = []
    for label in labels[np.argsort(-counts, kind="stable")]:
        here = cells[every.labels[cells] == label]
        per_level = np.bincount(every.levels[here], minlength=len(every.map_sizes))
        shares.append((every.class_name(int(here[0])), tuple(per_level.tolist())))
    return tuple(shares)


def levels_table(view: QuerySelectionView) -> dict[str, list]:
    """What each level has and gives: cells, chosen ones, near misses, and the best score."""
    every = view.tokens
    of_level = [every.levels == level for level in range(len(view.level_scores))]
    return {
        "level": list(LEVEL_NAMES),
        "cells": [int(here.sum()) for here in of_level],
        "chosen": [int((every.chosen & here).sum()) for here in of_level],
        "share": list(view.share),
        "near misses": [int((every.near & here).sum()) for here in of_level],
        "best score": [float(every.scores[here].max()) for here in of_level],
    }


def marks_table(view: QuerySelectionView) -> dict[str, list]:
    """Every cell that is marked on a map, best first: the chosen ones, the near misses and what a re-run gained."""
    every = view.tokens
    marked = every.chosen | every.near
    if view.change is not None:
        marked[view.change.gained] = True
    cells = [token for token in every.order if marked[token] and every.levels[token] in view.shown]
    rows: dict[str, list] = {
        "rank": [int(every.ranks[token]) for token in cells],
        "level": [LEVEL_NAMES[every.levels[token]] for token in cells],
        "row": [int(every.rows[token]) for token in cells],
        "column": [int(every.cols[token]) for token in cells],
        "best class": [every.class_name(token) for token in cells],
        "score": [float(every.scores[token]) for token in cells],
        "became": [every.fate(token) for token in cells],
    }
    if view.change is not None:
        verbs = dict.fromkeys(view.change.gained.tolist(), "gained") | dict.fromkeys(view.change.lost.tolist(), "lost")
        rows["re-run"] = [verbs.get(int(token), "") for token in cells]
    return rows
