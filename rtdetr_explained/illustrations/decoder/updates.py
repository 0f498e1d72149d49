"""Updates: how far each decoder layer moves the boxes of all queries, and how much it changes their size."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from rtdetr_explained.drawing.colors import BACKGROUND, COMPARED, GREY, SELECTED, TEXT
from rtdetr_explained.drawing.marks import Area, Axis, Drawing, Lines, Mark, Panel, Picture, Points, Text
from rtdetr_explained.drawing.text import number
from rtdetr_explained.illustrations.decoder.trajectory import moves_px, size_changes
from rtdetr_explained.tracing.choice import Choice

SENTENCE = (
    "Each layer corrects the box of every query; corrections that shrink from layer to layer mean that boxes settle."
)
HEIGHT = 330
LEAST_PX = 0.01  # smaller moves are drawn here, since a logarithm has no zero
MANY = 60  # detections; more are drawn as small as other queries
HALF = 0.19  # half the width of a layer's column of marks, in layers
SHIFT = -0.15  # of the column, so that there is room for numbers on its right


@dataclass(frozen=True)
class Updates:
    """What L layers did to the boxes of Q queries.

    `moved_px` (L, Q) is the distance the centre went, in pixels of the photo. `size_change` (L, Q) is log2 of the
    factor by which the box grew, its size being √(w·h). `found` (Q,) are the queries with a final score above
    `threshold`.
    """

    query: int
    compare: int | None
    threshold: float
    moved_px: np.ndarray
    size_change: np.ndarray
    found: np.ndarray
    names: tuple[str, ...]
    scores: np.ndarray


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile over the queries, for each of L layers; factors are counted away from 1."""

    moved_median_px: np.ndarray
    moved_p95_px: np.ndarray
    factor_median: np.ndarray
    factor_p95: np.ndarray


def view(choice: Choice) -> Updates:
    """The updates of all queries."""
    trace = choice.trace
    return Updates(
        query=choice.query,
        compare=choice.compare,
        threshold=choice.threshold,
        moved_px=moves_px(choice),
        size_change=size_changes(choice),
        found=trace.scores > choice.threshold,
        names=tuple(trace.class_names[label] for label in trace.labels),
        scores=trace.scores,
    )


def spread(view: Updates, only: np.ndarray | None = None) -> Spread:
    """Median and 95th percentile in each layer, over all queries or those where `only` (Q,) is true.

    A box that shrank to half and one that grew to the double changed by the same factor, 2.
    """
    chosen = np.ones(len(view.scores), bool) if only is None else only
    moved, change = view.moved_px[:, chosen], np.abs(view.size_change[:, chosen])
    return Spread(
        moved_median_px=np.median(moved, axis=1),
        moved_p95_px=np.percentile(moved, 95, axis=1),
        factor_median=2 ** np.median(change, axis=1),
        factor_p95=2 ** np.percentile(change, 95, axis=1),
    )


def picture(view: Updates) -> Picture:
    """Two panels: the way of the centres and the change of sizes, each a column of queries per layer."""
    alt_text = "For each decoder layer, a column of marks for all queries: centre moves and size changes. "
    panels = [centres(view), sizes(view)]
    return Picture(Drawing(panels, height=HEIGHT), caption(view), alt_text + caption(view), table(view))


def centres(view: Updates) -> Panel:
    """How far each layer moves the centres, on a logarithmic axis."""
    numbers = spread(view)
    moved = np.log10(np.maximum(view.moved_px, LEAST_PX))
    low, high = float(moved.min()), max(float(moved.max()), float(moved.min()) + 1)
    ticks = np.arange(np.ceil(low), np.floor(high) + 1)
    axis = Axis((low - 0.15, high + 0.15), "px, log scale", ticks.tolist(), [number(10**t) for t in ticks], grid=True)
    px = [numbers.moved_median_px, numbers.moved_p95_px]
    return columns(
        view, moved, axis, (0.06, 46, 0.485, HEIGHT - 42), [np.log10(np.maximum(values, LEAST_PX)) for values in px],
        [[distance(value) for value in values] for values in px],
        "How far the centres move", "a mark per query; bars: median and 95th percentile",
    )  # fmt: skip


def sizes(view: Updates) -> Panel:
    """By which factor each layer changes the sizes, on a logarithmic axis with no change in the middle."""
    reach = max(0.5, float(np.abs(view.size_change).max()))
    step = next(step for step in (0.25, 0.5, 1, 2, 4, 8) if reach / step <= 3.5)
    ticks = (np.arange(-np.floor(reach / step), np.floor(reach / step) + 1) * step).tolist()
    axis = Axis((-reach * 1.06, reach * 1.06), "factor, log scale", ticks, list(map(signed_factor, ticks)), grid=True)
    factor = np.median(view.size_change, axis=1)
    return columns(
        view, view.size_change, axis, (0.575, 46, 0.995, HEIGHT - 42), [factor], [list(map(signed_factor, factor))],
        "How much their sizes change", "× grows, ÷ shrinks; bar: signed median",
    )  # fmt: skip


def columns(
    view: Updates,
    values: np.ndarray,
    axis: Axis,
    area: Area,
    bars: list[np.ndarray],
    words: list[list[str]],
    title: str,
    subtitle: str,
) -> Panel:
    """One column of marks per layer, detections darker; bars with their numbers; selected and compared query on top."""
    layers, queries = values.shape
    middle = np.arange(1.0, layers + 1) + SHIFT
    across = (middle[:, None] + HALF * (2 * jitter(queries) - 1)[None]).astype(np.float32)  # L Q
    values = values.astype(np.float32)  # half the bytes to send
    marks: list[Mark] = []
    chosen = [query for query in (view.query, view.compare) if query is not None]
    plain = ~np.isin(np.arange(queries), chosen)
    for shown, color, size, alpha, name in (
        (plain & ~view.found, GREY, 4.5, 0.55, "other queries"),
        (plain & view.found, TEXT, *((6.5, 0.9) if view.found.sum() <= MANY else (4.5, 0.5)), "detections"),
    ):
        ids = np.nonzero(shown)[0]
        hover = [words_of(view, layer, int(query)) for layer in range(layers) for query in ids]
        marks.append(
            Points(
                across[:, ids].ravel(), values[:, ids].ravel(), color, size, alpha=alpha, hover=hover,
                ids=np.tile(ids, layers), name=f"{title}: {name}",
            )
        )  # fmt: skip
    for level, texts, dash, name in zip(bars, words, ("solid", "dot"), ("median", "p95"), strict=False):
        ends = middle[:, None] + np.array([-HALF - 0.02, HALF + 0.06, np.nan])
        x, y = ends.ravel(), np.repeat(level, 3)
        marks.append(Lines(x, y, BACKGROUND, 5.5, name=f"{title}: ground of the {name}"))
        marks.append(Lines(x, y, TEXT, 2.5, dash, name=f"{title}: {name}"))
        marks += [
            Text(float(at + HALF + 0.07), float(value), text, TEXT, dx=3, bold=dash == "solid")
            for at, value, text in zip(middle, level, texts, strict=True)
        ]
    for query, color, shape, side, name in (
        (view.query, SELECTED, "circle", 0.05, "selected"),
        (view.compare, COMPARED, "diamond", 0.13, "compared"),
    ):
        if query is not None:
            hover = [words_of(view, layer, query) for layer in range(layers)]
            look = {"shape": shape, "edge": BACKGROUND, "hover": hover, "ids": np.repeat(query, layers)}
            marks.append(Points(middle - HALF - side, values[:, query], color, 10, name=f"{title}: {name}", **look))
    ticks = list(range(1, layers + 1))
    return Panel(area, Axis((0.45, layers + 0.55), "decoder layer", ticks), axis, marks, title, subtitle)


def jitter(count: int) -> np.ndarray:
    """(count,) numbers in 0..1 that spread the marks of a column; the same ones each time."""
    return (np.arange(count) * 0.6180339887) % 1


def words_of(view: Updates, layer: int, query: int) -> str:
    """What a mark says under the pointer; short, since there is one for each query in each layer."""
    moved, change = float(view.moved_px[layer, query]), float(view.size_change[layer, query])
    who = f"{query} · {escape(view.names[query])} {view.scores[query]:.2f}"
    return f"{who}<br>{distance(moved)} px, {signed_factor(change)}"


def signed_factor(change: float) -> str:
    """A change as log2 in words: "×1.25" for growth, "÷1.25" for shrinking."""
    factor = f"{2 ** abs(change):.2f}"
    return f"×{factor}" if change >= 0 or factor == "1.00" else f"÷{factor}"


def distance(px: float) -> str:
    """Pixels with two digits."""
    return f"{px:.0f}" if px >= 10 else f"{px:.1f}" if px >= 1 else f"{px:.2f}"


def caption(view: Updates) -> str:
    """Sentences with the numbers."""
    numbers = spread(view)
    medians, most = (", ".join(map(distance, px)) for px in (numbers.moved_median_px, numbers.moved_p95_px))
    factors = ", ".join(f"{factor:.2f}" for factor in numbers.factor_median)
    beside = f"the dot left of each column is query {view.query}"
    if view.compare is not None:
        beside += f", the diamond query {view.compare}"
    return (
        f"Layer by layer, the median of all {len(view.scores)} queries moves its centre by {medians} px, and 95% of "
        f"them move it by less than {most} px; the median size changes by a factor of {factors} either way, × or ÷. "
        "The bars of size are signed medians, in which growth and shrinking cancel. "
        f"Marks that stand out are detections above {view.threshold:.2f}; {beside}."
    )


def table(view: Updates) -> dict[str, list]:
    """Median and 95th percentile in each layer, over all queries and over the detections, and the selected query."""
    groups = [("all queries", spread(view))]
    if view.found.any():
        groups.append((f"detections above {view.threshold:.2f}", spread(view, view.found)))
    alone = np.arange(len(view.scores)) == view.query
    groups.append((f"query {view.query}", spread(view, alone)))
    layers = len(view.moved_px)
    return {
        "over": [name for name, _ in groups for _ in range(layers)],
        "layer": [i + 1 for _ in groups for i in range(layers)],
        "centre moved, median px": [round(float(x), 2) for _, s in groups for x in s.moved_median_px],
        "centre moved, p95 px": [round(float(x), 2) for _, s in groups for x in s.moved_p95_px],
        "size change either way, median": [round(float(x), 3) for _, s in groups for x in s.factor_median],
        "size change either way, p95": [round(float(x), 3) for _, s in groups for x in s.factor_p95],
    }


def summary(view: Updates) -> dict[str, list[str]]:
    """The numbers most worth reading, as text: the centre's median move and 95th percentile, and the size's factor."""
    every = spread(view)
    columns = {
        "Layer": [str(i + 1) for i in range(len(view.moved_px))],
        "Centre (px)": list(map(distance, every.moved_median_px)),
        "95% below": list(map(distance, every.moved_p95_px)),
        "Size change, either way": [f"{factor:.2f}" for factor in every.factor_median],
        f"Query {view.query} (px)": list(map(distance, view.moved_px[:, view.query])),
    }
    if view.compare is not None:
        columns[f"Query {view.compare} (px)"] = list(map(distance, view.moved_px[:, view.compare]))
    return columns
