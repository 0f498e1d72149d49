"""Weight is not importance: what taking points away really does to a query, next to how heavy they were.

Every number here comes from running the decoder again with the points taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from rtdetr_explained.boxes import cxcywh_to_xyxy_px, iou
from rtdetr_explained.drawing.colors import LEVEL_NAMES, Theme
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.deformable_attention.effect_drawing import drawing
from rtdetr_explained.illustrations.deformable_attention.points import by_weight
from rtdetr_explained.tracing.edits import DropHead, DropLevel, DropPoint, Edit, Mode
from rtdetr_explained.tracing.results import Outcome
from rtdetr_explained.tracing.trace import Trace, sigmoid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANDOM_DRAWS = 5
HEAVIEST, LIGHTEST = "heaviest", "lightest"


@dataclass(frozen=True)
class Change:
    """What became of one query: the score of the class it had, its best class now, and its box in pixels.

    `moved_px` is how far the centre moved, `iou` the overlap of the box before and after.
    """

    score_before: float
    score_after: float
    class_before: str
    class_after: str
    box_before_px: np.ndarray
    box_after_px: np.ndarray

    @property
    def score(self) -> float:
        """Change of the score of the class the query had."""
        return self.score_after - self.score_before

    @property
    def moved_px(self) -> float:
        """Distance between the centres of both boxes."""
        before, after = self.box_before_px, self.box_after_px
        return float(np.linalg.norm((after[:2] + after[2:] - before[:2] - before[2:]) / 2))

    @property
    def iou(self) -> float:
        """Overlap of both boxes: intersection over union."""
        return float(iou(self.box_before_px, self.box_after_px))

    @property
    def impact(self) -> float:
        """One number to sort by: the loss of overlap plus the change of the score, whatever its sign."""
        return 1 - self.iou + abs(self.score)


def change(trace: Trace, after: Outcome, query: int) -> Change:
    """What became of a query. Raises InputError when it does not exist or the runs have other queries."""
    trace.query(query)
    if after.boxes.shape != trace.boxes.shape:
        raise InputError("Both runs must have the same queries.")
    label = int(trace.labels[query])
    boxes = (cxcywh_to_xyxy_px(b[query], trace.image_size) for b in (trace.boxes, after.boxes))
    return Change(
        float(trace.scores[query]),
        float(sigmoid(after.logits[query, label])),
        trace.class_names[label],
        trace.class_names[int(after.logits[query].argmax())],
        *boxes,
    )


# ---------------------------------------------------------------- points


def sets_of_points(
    trace: Trace, query: int, layer: int, k: int, head: int | None = None, level: int | None = None
) -> dict[str, np.ndarray]:
    """Which k points to take away, as flat indices: the heaviest, the lightest, and several random draws.

    Of one head or level only, where that is given. The draws are the same for the same query, layer and k. Raises
    InputError when there are fewer points.
    """
    order = by_weight(trace, query, layer, head, level)
    if not 1 <= k <= len(order):
        raise InputError(f"{k} points cannot be taken away; choose 1 to {len(order)}.")
    random = np.random.default_rng([query, layer, k])
    draws = {f"random {i + 1}": random.choice(order, k, replace=False) for i in range(RANDOM_DRAWS)}
    return {HEAVIEST: order[:k], **draws, LIGHTEST: order[-k:]}


def drop(trace: Trace, query: int, layer: int, points: Sequence[int] | np.ndarray, mode: Mode) -> tuple[Edit, ...]:
    """The edits that take these points (flat indices) of one query away."""
    num_points = trace.meta["config"]["num_points"]
    edits = []
    for flat in sorted(int(point) for point in points):
        head, p = divmod(flat, sum(num_points))
        level = int(np.searchsorted(np.cumsum(num_points), p, side="right"))
        edits.append(DropPoint(layer, query, head, level, p - sum(num_points[:level]), mode))
    return tuple(edits)


# ---------------------------------------------------------------- heads and levels


def parts(trace: Trace, layer: int) -> dict[str, Edit]:
    """Every head and every level of a layer, with the edit that takes it out for all queries."""
    heads = {f"head {head}": DropHead(head, layer) for head in range(trace.meta["config"]["num_heads"])}
    levels = {LEVEL_NAMES[level]: DropLevel(level, layer) for level in range(len(trace.map_sizes))}
    return {**heads, **levels}


# ---------------------------------------------------------------- what the figure shows


@dataclass(frozen=True)
class Effects:
    """What several changes do to a query, one row each: the share of its weight they take (n,) and what they change.

    `sentence` says it in words.
    """

    query: int
    layer: int
    title: str
    names: tuple[str, ...]
    weight: np.ndarray
    changes: tuple[Change, ...]
    sentence: str


def points_effect(
    trace: Trace,
    query: int,
    layer: int,
    mode: Mode,
    sets: Mapping[str, np.ndarray],
    outcomes: Mapping[str, Outcome],
    chosen_from: str = "",
) -> Effects:
    """The effect of `sets_of_points`, from the outcome of each; `chosen_from` names the head or level, if any."""
    weights = trace[f"decoder.layers.{layer}.cross_attn.weights"].array[query].ravel()
    taken = np.array([weights[points].sum() for points in sets.values()]) / max(float(weights.sum()), 1e-9)
    changes = {name: change(trace, outcomes[name], query) for name in sets}
    k, first, last = len(sets[HEAVIEST]), changes[HEAVIEST], changes[LIGHTEST]
    others = [found for name, found in changes.items() if name not in (HEAVIEST, LIGHTEST)]
    sentence = (
        f"Without its {k} heaviest points{chosen_from} in layer {layer + 1} ({taken[0]:.0%} of its weight) query "
        f"{query} scores {in_words(first)}; without {k} random ones the box keeps an IoU of "
        f"{np.median([found.iou for found in others]):.2f} at the median of {len(others)} draws, without the {k} "
        f"lightest {last.iou:.2f}. What was taken is "
        + ("left out." if mode == "zero" else "shared among the head's other points.")
    )
    title = f"Query {query} without {k} of its points, layer {layer + 1}"
    return Effects(query, layer, title, tuple(sets), taken, tuple(changes.values()), sentence)


def parts_effect(trace: Trace, query: int, layer: int, outcomes: Mapping[str, Outcome]) -> Effects:
    """The effect of `parts` from the outcome of each, sorted: what hurts the query most comes first."""
    weights = trace[f"decoder.layers.{layer}.cross_attn.weights"].array[query]  # H P
    by_level = np.split(weights.sum(0), np.cumsum(trace.meta["config"]["num_points"])[:-1])
    taken = np.array([*weights.sum(1), *(level.sum() for level in by_level)]) / max(float(weights.sum()), 1e-9)
    changes = [change(trace, after, query) for after in outcomes.values()]
    order = np.argsort([-found.impact for found in changes], kind="stable")
    names = tuple(outcomes)
    sentence = (
        f"Taken out of layer {layer + 1} for all queries, one at a time: {names[order[0]]} matters most to query "
        f"{query}, which then scores {in_words(changes[order[0]])}; {names[order[-1]]} matters least."
    )
    return Effects(
        query,
        layer,
        f"Query {query} without a head or a level, layer {layer + 1}",
        tuple(names[i] for i in order),
        taken[order],
        tuple(changes[i] for i in order),
        sentence,
    )


def in_words(found: Change) -> str:
    """Score and box after a change."""
    now = "" if found.class_after == found.class_before else f" (its best class is now {found.class_after})"
    return (
        f"{found.score_after:.2f} instead of {found.score_before:.2f}{now} and its box moves by "
        f"{found.moved_px:.1f} px (IoU {found.iou:.2f})"
    )


def plotly_figure(effects: Effects, theme: Theme) -> go.Figure:
    """The interactive figure."""
    return to_plotly(drawing(effects, theme), theme)


def matplotlib_figure(effects: Effects, theme: Theme) -> Figure:
    """The figure for export."""
    return to_matplotlib(drawing(effects, theme), theme)


def caption(effects: Effects) -> str:
    """One sentence saying what is seen."""
    return effects.sentence


def alt_text(effects: Effects) -> str:
    """The figure in words."""
    return (
        "Bars, one row for each thing taken away: its share of the weight, the change of the score and of the box. "
        + effects.sentence
    )


def table(effects: Effects) -> dict[str, list]:
    """One row for each thing taken away."""
    changes = effects.changes
    return {
        "taken away": list(effects.names),
        "share of the weight": effects.weight.astype(float).round(3).tolist(),
        "score before": [round(c.score_before, 3) for c in changes],
        "score after": [round(c.score_after, 3) for c in changes],
        "class after": [c.class_after for c in changes],
        "box moved px": [round(c.moved_px, 2) for c in changes],
        "IoU": [round(c.iou, 4) for c in changes],
    }
