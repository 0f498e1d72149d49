"""How far every query's points lie from its reference point, against the size of its box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rtdetr_explained.drawing.colors import BACKGROUND, COMPARED, GREY, MUTED, SELECTED, TEXT
from rtdetr_explained.drawing.marks import Axis, Drawing, Lines, Mark, Panel, Picture, Points, Shape, Text
from rtdetr_explained.illustrations.deformable_attention.sampling import of_layer, star
from rtdetr_explained.model.config import OFFSET_SCALE
from rtdetr_explained.tracing.choice import Choice

WIDTH, HEIGHT = 540, 330
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
LEAST_PX = 0.5  # the axes are logarithmic


@dataclass(frozen=True)
class SpreadView:
    """All queries in one layer: `side_px` (Q,) is the square root of the area of the reference box.

    `spread_px` (Q,) is the root mean square distance of the points from the reference point, each counted by its
    weight; `even_px` (Q,) the same with all points alike. `untrained` is spread over side that the starting offsets
    would give a square box, and `ratios` (L,) the median of spread over side in each layer.
    """

    layer: int
    query: int
    compare: int | None
    side_px: np.ndarray
    spread_px: np.ndarray
    even_px: np.ndarray
    untrained: float
    ratios: np.ndarray
    detected: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """Spread over side of every query (Q,)."""
        return self.spread_px / np.maximum(self.side_px, 1e-9)


def view(choice: Choice) -> SpreadView:
    """The spread of all queries in the layer; the threshold tells which of them count as detections."""
    measured = [spread_px(replace(choice, layer=layer)) for layer in range(choice.trace.num_layers)]
    side, spread, even = measured[choice.layer]
    return SpreadView(
        layer=choice.layer,
        query=choice.query,
        compare=None if choice.compare == choice.query else choice.compare,
        side_px=side,
        spread_px=spread,
        even_px=even,
        untrained=untrained_ratio(choice.config["num_heads"], choice.config["num_points"]),
        ratios=np.array([np.median(spreads / np.maximum(sides, 1e-9)) for sides, spreads, _ in measured]),
        detected=choice.trace.scores > choice.threshold,
    )


def spread_px(choice: Choice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Side of the reference box, weighted and even spread of the points, each (Q,) in pixels of the photo."""
    size = np.array(choice.trace.image_size, dtype=np.float32)
    boxes = choice.rows(f"decoder.layers.{choice.layer}.reference_boxes")  # Q 4
    locations = of_layer(choice, "sampling_locations")  # Q H P 2
    weights = of_layer(choice, "weights")  # Q H P
    squared = (((locations - boxes[:, None, None, :2]) * size) ** 2).sum(-1)  # Q H P
    total = np.maximum(weights.sum((1, 2)), 1e-9)
    side = np.sqrt((boxes[:, 2:] * size).prod(-1))
    return side, np.sqrt((squared * weights).sum((1, 2)) / total), np.sqrt(squared.mean((1, 2)))


def untrained_ratio(num_heads: int, num_points: list[int]) -> float:
    """Spread over side for a square box before training: a star, one direction for each head, with equal weights."""
    steps = np.concatenate([np.arange(1, p + 1) / p for p in num_points]) * OFFSET_SCALE  # P
    return float(np.sqrt((star(num_heads) ** 2).sum(-1).mean() * (steps**2).mean()))


def picture(view: SpreadView) -> Picture:
    """All queries on logarithmic axes."""
    said = caption(view)
    return Picture(
        drawing(view),
        caption=said,
        alt_text="Every query's spread of sampling points against the side of its box, logarithmic. " + said,
        table=table(view),
    )


def drawing(view: SpreadView) -> Drawing:
    """All queries as points on logarithmic axes, with the line on which an untrained network would put them."""
    x, y = (np.log10(np.maximum(values, LEAST_PX)) for values in (view.side_px, view.spread_px))
    low = min(x.min(), y.min()) - 0.08
    x_range, y_range = (min(low, x.min() - 0.08), x.max() + 0.12), (min(low, y.min() - 0.08), y.max() + 0.15)
    line = np.array([x_range[0], x_range[1]])
    marks: list[Mark] = [
        Lines(line, line + np.log10(view.untrained), MUTED, 1.2, "dash", name="untrained"),
        Lines(line, line + np.log10(np.median(view.ratio)), TEXT, 1, "dot", name="median"),
    ]
    rest = np.ones(len(x), bool)
    rest[[view.query, view.query if view.compare is None else view.compare]] = False
    ends = {}
    kinds: tuple[tuple[str, np.ndarray, Shape, float], ...] = (
        ("other queries", rest & ~view.detected, "circle", 5),
        ("detections", rest & view.detected, "square", 8),
    )
    for name, chosen, shape, size in kinds:
        at = np.flatnonzero(chosen)
        hover = [hover_text(view, q) for q in at.tolist()]
        color = TEXT if name == "detections" else GREY
        alpha = 0.9 if name == "detections" else 0.55
        marks.append(Points(x[at], y[at], color, size, shape, alpha=alpha, hover=hover, ids=at, name=name))
    for q, color, name in ((view.compare, COMPARED, "compared"), (view.query, SELECTED, "selected")):
        if q is not None:
            marks.append(Points(x[[q]], y[[q]], color, 12, "diamond", TEXT, hover=[hover_text(view, q)],
                                ids=np.array([q]), name=name))  # fmt: skip
            ends[q] = color
    # Queries lie along a rising line: there is room above and left of it for one, below and right of it for the other.
    for i, q in enumerate(sorted(ends, key=lambda q: -view.ratio[q])):
        part = (x[q] - x_range[0]) / (x_range[1] - x_range[0])
        to_left = part > 0.15 if i == 0 else part > 0.85
        side: dict[str, Any] = {"align": "right", "dx": -9} if to_left else {"align": "left", "dx": 9}
        side |= {"dy": 11 if i == 0 else -11, "bold": True, "box": BACKGROUND}
        marks.append(Text(float(x[q]), float(y[q]), f"query {q}", ends[q], **side))
    at = x_range[0] + 0.3 * (x_range[1] - x_range[0])
    for word, ratio, above in (("median", float(np.median(view.ratio)), True), ("untrained", view.untrained, False)):
        shift: dict[str, Any] = {"align": "right", "dx": -6, "dy": 6} if above else {"align": "left", "dx": 6, "dy": -6}
        marks.append(Text(at, at + np.log10(ratio), word, MUTED, **shift))
    return Drawing(
        [
            Panel(
                (0.085, 42, 0.99, HEIGHT - 40),
                axis(x_range, "side of the box, √area in px"),
                axis(y_range, "spread, px"),
                marks,
                title=f"Spread of the points in layer {view.layer + 1}",
                subtitle="□ detections, ● other queries; a click selects",
                framed=True,
            )
        ],
        width=WIDTH,
        height=HEIGHT,
    )


def hover_text(view: SpreadView, query: int) -> str:
    """One query in words."""
    return (
        f"query {query}<br>box side {view.side_px[query]:.0f} px, spread {view.spread_px[query]:.0f} px<br>"
        f"spread over side <b>{view.ratio[query]:.2f}</b>"
    )


def axis(limits: tuple[float, float], title: str) -> Axis:
    """A logarithmic axis in pixels."""
    ticks = [tick for tick in TICKS if limits[0] <= np.log10(tick) <= limits[1]]
    return Axis(limits, title, [float(np.log10(tick)) for tick in ticks], [f"{tick:,}" for tick in ticks], grid=True)


def caption(view: SpreadView) -> str:
    """One sentence saying what is seen."""
    layers = ", ".join(f"{ratio:.2f}" for ratio in view.ratios)
    return (
        f"Offsets are measured in boxes, so large boxes are read widely: the points of query {view.query} spread over "
        f"{view.ratio[view.query]:.2f} of its box's side, those of the median query over {np.median(view.ratio):.2f} "
        f"({layers} in layers 1 to {len(view.ratios)}), before training {view.untrained:.2f}. Counted by weight; with "
        f"all points alike query {view.query} has {view.even_px[view.query] / max(view.side_px[view.query], 1e-9):.2f}."
    )


def table(view: SpreadView) -> dict[str, list]:
    """All queries."""
    return {
        "query": list(range(len(view.side_px))),
        "box side px": view.side_px.astype(float).round(1).tolist(),
        "spread px": view.spread_px.astype(float).round(1).tolist(),
        "spread px, points alike": view.even_px.astype(float).round(1).tolist(),
        "spread / side": view.ratio.astype(float).round(3).tolist(),
        "detection": view.detected.tolist(),
    }
