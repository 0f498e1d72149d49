"""Where a query's weight lies: by level and by head, for one query or for two beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtdetr_explained.drawing.colors import COMPARED, LEVEL_COLORS, LEVEL_MARKERS, LEVEL_NAMES, SELECTED, TEXT
from rtdetr_explained.drawing.marks import Area, Axis, Bars, Drawing, Lines, Mark, Panel, Picture, Points, Text
from rtdetr_explained.illustrations.deformable_attention import sampling
from rtdetr_explained.tracing.choice import Choice

WIDTH, HEIGHT = 540, 330
QUERY_COLORS = (SELECTED, COMPARED)


@dataclass(frozen=True)
class WeightsView:
    """The weight of one or two `queries` in a layer: `by_head` (n, H, 3) adds up each head's weights by level.

    The weights of a head sum to one, unless an edit took some away. `selected_head` is the one to point at.
    """

    layer: int
    queries: tuple[int, ...]
    by_head: np.ndarray
    selected_head: int | None

    @property
    def by_level(self) -> np.ndarray:
        """The share of each level in the weight of all heads (n, 3)."""
        total = self.by_head.sum(1)
        return total / np.maximum(total.sum(1, keepdims=True), 1e-9)


def view(choice: Choice) -> WeightsView:
    """The weights of the query and, where one is chosen to compare, of that one too."""
    queries = (choice.query,) if choice.compare in (None, choice.query) else (choice.query, choice.compare)
    weights = sampling.of_layer(choice, "weights")[list(queries)].astype(np.float32)  # n H P
    return WeightsView(choice.layer, queries, sampling.by_level(choice.trace, weights), choice.head)


def picture(view: WeightsView) -> Picture:
    """Two panels of bars, by level and by head."""
    said, queries = caption(view), view.queries
    levels = by_level((0.07, 42, 0.36, HEIGHT - 34), queries, view.by_level, "all heads")
    heads = by_head((0.46, 42, 0.995, HEIGHT - 34), queries, view.by_head, view.selected_head)
    return Picture(
        Drawing([levels, heads], width=WIDTH, height=HEIGHT),
        caption=said,
        alt_text="Bars of the attention weight by level, and by head parted by level. " + said,
        table=table(view),
    )


def by_level(area: Area, queries: Sequence[int], shares: np.ndarray, subtitle: str) -> Panel:
    """A bar for the share of each level (n, 3) in the weight of each of n queries."""
    top = float(shares.max()) or 1.0  # a head can be without weight after edits
    n = len(queries)
    key = -0.12 * top if n == 1 else -0.38 * top
    marks: list[Mark] = []
    for level, (name, color) in enumerate(zip(LEVEL_NAMES, LEVEL_COLORS, strict=True)):
        marks.append(Points(np.array([key]), np.array([level]), color, 10, LEVEL_MARKERS[level], name=f"key {name}"))
        for i, query in enumerate(queries):
            share, y = float(shares[i, level]), row_of(level, i, n)
            hover = [f"query {query} · {name}: {share:.3f} of the weight"]
            bar = Bars(np.array([y]), np.array([share]), color, height=0.72 / n, hover=hover, name=f"{name} of {query}")
            marks += [bar, Text(share, y, f"{share:.2f}", TEXT, dx=4)]
            if n > 1:
                marks.append(Text(0, y, str(query), QUERY_COLORS[i], align="right", dx=-4, bold=True))
    return Panel(
        area,
        Axis((key - 0.12 * top, 1.4 * top), "share of the weight"),
        Axis((2.6, -0.6), "", (0, 1, 2), LEVEL_NAMES),
        marks,
        title="By level",
        subtitle=subtitle,
    )


def by_head(area: Area, queries: Sequence[int], weights: np.ndarray, selected_head: int | None) -> Panel:
    """A bar for each head of each of n queries, parted by level: `weights` (n, H, 3)."""
    n, H, _ = weights.shape
    marks: list[Mark] = []
    for i, query in enumerate(queries):
        rows = np.array([row_of(head, i, n) for head in range(H)])
        left = np.zeros(H, dtype=np.float32)
        for level, (name, color) in enumerate(zip(LEVEL_NAMES, LEVEL_COLORS, strict=True)):
            width = weights[i, :, level]
            hover = [f"query {query} · head {h} · {name}: <b>{value:.3f}</b>" for h, value in enumerate(width)]
            mark = f"{name} by head of {query}"
            marks.append(Bars(rows, width, color, left, height=0.72 / n, hover=hover, name=mark))
            left = left + width
        if n > 1:
            words = [Text(1, y, str(query), QUERY_COLORS[i], dx=4, bold=True) for y in rows]
            marks += words
    if selected_head is not None:
        y = np.array([selected_head - 0.45, selected_head + 0.45])
        marks.append(Lines(np.full(2, -0.015), y, TEXT, 4, name="selected head"))
    return Panel(
        area,
        Axis((-0.03, 1.12 if n > 1 else 1.02), "weight", (0, 0.5, 1)),
        Axis((H - 0.4, -0.6), "", list(range(H)), [f"head {head}" for head in range(H)]),
        marks,
        title="By head",
        subtitle="each head's weights sum to 1",
    )


def row_of(group: int, i: int, n: int) -> float:
    """Where bar i of the n bars of a group lies."""
    return group + (i - (n - 1) / 2) * 0.78 / n


def caption(view: WeightsView) -> str:
    """One sentence saying what is seen."""
    parts = [f"query {q} puts {most(shares)}" for q, shares in zip(view.queries, view.by_level, strict=True)]
    return f"In layer {view.layer + 1} {' and '.join(parts)}."


def most(shares: np.ndarray) -> str:
    """Where most of a weight lies, or more than elsewhere, or as much, in words; told apart by whole percents."""
    percent = np.round(100 * shares)
    names = [name for name, share in zip(LEVEL_NAMES, percent, strict=True) if share == percent.max()]
    if len(names) > 1:
        return f"equal weight on {', '.join(names[:-1])} and {names[-1]} ({percent.max():.0f}% each)"
    if percent.max() > 50:
        return f"most of its weight on {names[0]} ({percent.max():.0f}%)"
    return f"more weight on {names[0]} ({percent.max():.0f}%) than on any other level"


def table(view: WeightsView) -> dict[str, list]:
    """One row for each query and head, and one for all heads."""
    rows: dict[str, list] = {"query": [], "head": [], **{name: [] for name in LEVEL_NAMES}}
    for i, query in enumerate(view.queries):
        for name, shares in [("all", view.by_level[i]), *((str(h), row) for h, row in enumerate(view.by_head[i]))]:
            rows["query"].append(query)
            rows["head"].append(name)
            for level, share in zip(LEVEL_NAMES, shares, strict=True):
                rows[level].append(round(float(share), 3))
    return rows
