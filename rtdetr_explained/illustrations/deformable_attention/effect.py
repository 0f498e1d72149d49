"""Weight is not importance: what taking points away really does to a query, next to how heavy they were.

Every number here comes from running the decoder again with the points taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px, iou
from rtdetr_explained.drawing.colors import GREY, LEVEL_COLORS, LEVEL_NAMES, MUTED, SELECTED, TEXT
from rtdetr_explained.drawing.marks import Axis, Bars, Drawing, Lines, Mark, Panel, Picture, Text
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.deformable_attention.points import by_weight
from rtdetr_explained.illustrations.deformable_attention.sampling import by_level, level_of_points, of_layer
from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.edits import DropHead, DropLevel, DropPoint, Edit, Mode
from rtdetr_explained.tracing.results import Outcome
from rtdetr_explained.tracing.trace import sigmoid

WIDTH, ROW_PX, HEAD_PX, FOOT_PX = 540, 21, 50, 8
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


def change(choice: Choice, after: Outcome) -> Change:
    """What became of the query. Raises InputError when the runs have other queries."""
    trace, query = choice.trace, choice.query
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


def sets_of_points(choice: Choice, k: int) -> dict[str, np.ndarray]:
    """Which k points to take away, as flat indices: the heaviest, the lightest, and several random draws.

    Of one head or level only, where one is chosen. The draws are the same for the same query, layer and k. Raises
    InputError when there are fewer points.
    """
    order = by_weight(choice)
    if not 1 <= k <= len(order):
        raise InputError(f"{k} points cannot be taken away; choose 1 to {len(order)}.")
    random = np.random.default_rng([choice.query, choice.layer, k])
    draws = {f"random {i + 1}": random.choice(order, k, replace=False) for i in range(RANDOM_DRAWS)}
    return {HEAVIEST: order[:k], **draws, LIGHTEST: order[-k:]}


def drop(choice: Choice, points: Sequence[int] | np.ndarray, mode: Mode) -> tuple[Edit, ...]:
    """The edits that take these points (flat indices) of the query away."""
    level_of = level_of_points(choice.trace)
    edits = []
    for flat in sorted(int(point) for point in points):
        head, p = divmod(flat, len(level_of))
        level = int(level_of[p])
        edits.append(DropPoint(choice.layer, choice.query, head, level, p - int(np.argmax(level_of == level)), mode))
    return tuple(edits)


def parts(choice: Choice) -> dict[str, Edit]:
    """Every head and every level of the layer, with the edit that takes it out for all queries."""
    heads = {f"head {head}": DropHead(head, choice.layer) for head in range(choice.config["num_heads"])}
    levels = {LEVEL_NAMES[level]: DropLevel(level, choice.layer) for level in range(len(choice.trace.map_sizes))}
    return {**heads, **levels}


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


def effect_of_points(
    choice: Choice, mode: Mode, sets: Mapping[str, np.ndarray], outcomes: Mapping[str, Outcome]
) -> Effects:
    """The effect of `sets_of_points` on the query, from the outcome of each."""
    query, layer = choice.query, choice.layer
    weights = of_layer(choice, "weights")[query].ravel()
    taken = np.array([weights[points].sum() for points in sets.values()]) / max(float(weights.sum()), 1e-9)
    changes = {name: change(choice, outcomes[name]) for name in sets}
    k, first, last = len(sets[HEAVIEST]), changes[HEAVIEST], changes[LIGHTEST]
    draws = [c.iou for name, c in changes.items() if name not in (HEAVIEST, LIGHTEST)]
    chosen_from = "" if choice.head is None else f" of head {choice.head}"
    chosen_from += "" if choice.level is None else f" on {LEVEL_NAMES[choice.level]}"
    sentence = (
        f"Without its {k} heaviest points{chosen_from} in layer {layer + 1} ({taken[0]:.0%} of its weight) query "
        f"{query} scores {in_words(first)}; without {k} random ones the box keeps an IoU of {np.median(draws):.2f} at "
        f"the median of {len(draws)} draws, without the {k} lightest {last.iou:.2f}. What was taken is "
        + ("left out." if mode == "zero" else "shared among the head's other points.")
    )
    title = f"Query {query} without {k} of its points, layer {layer + 1}"
    return Effects(query, layer, title, tuple(sets), taken, tuple(changes.values()), sentence)


def effect_of_parts(choice: Choice, outcomes: Mapping[str, Outcome]) -> Effects:
    """The effect of `parts` on the query from the outcome of each, sorted: what hurts it most comes first."""
    query, layer = choice.query, choice.layer
    weights = of_layer(choice, "weights")[query]  # H P
    levels = by_level(choice.trace, weights.sum(0))  # L
    taken = np.array([*weights.sum(1), *levels]) / max(float(weights.sum()), 1e-9)
    changes = [change(choice, after) for after in outcomes.values()]
    order = np.argsort([-c.impact for c in changes], kind="stable")
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


def in_words(change: Change) -> str:
    """Score and box after a change."""
    now = "" if change.class_after == change.class_before else f" (its best class is now {change.class_after})"
    return (
        f"{change.score_after:.2f} instead of {change.score_before:.2f}{now} and its box moves by "
        f"{change.moved_px:.1f} px (IoU {change.iou:.2f})"
    )


# ---------------------------------------------------------------- the figure


def picture(effects: Effects) -> Picture:
    """Weight, score and box beside each other, one row for each thing taken away."""
    return Picture(
        drawing(effects),
        caption=effects.sentence,
        alt_text="Bars, one row for each thing taken away: its share of the weight, the change of the score and of the "
        "box. " + effects.sentence,
        table=table(effects),
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


def drawing(effects: Effects) -> Drawing:
    """Three panels with the same rows."""
    scores = np.array([change.score for change in effects.changes])
    lost = np.array([1 - change.iou for change in effects.changes])
    moved = [f"{change.moved_px:.1f} px" for change in effects.changes]
    return Drawing(
        [
            panel(effects, "Weight taken", "share of the query's", effects.weight, (0.13, 0.36)),
            panel(effects, "Change of score", "of the class it had", scores, (0.43, 0.68)),
            panel(effects, "Box", "1 − IoU · centre moved", lost, (0.73, 0.99), moved),
        ],
        width=WIDTH,
        height=height_of(effects),
    )


def height_of(effects: Effects) -> int:
    """Pixels of height; the figure grows with the rows."""
    return HEAD_PX + ROW_PX * len(effects.names) + FOOT_PX


def panel(
    effects: Effects,
    title: str,
    subtitle: str,
    values: np.ndarray,
    sides: tuple[float, float],
    words: Sequence[str] | None = None,
) -> Panel:
    """One measure as bars; `words` follow the number of each bar."""
    n, signed = len(values), bool((values < 0).any())
    # A tenth of the whole at least, so that nothing looks like much.
    reach = max(float(np.abs(values).max()), 0.1)
    rows = np.arange(n)
    marks: list[Mark] = []
    for color in dict.fromkeys(color_of(name) for name in effects.names):
        at = np.array([i for i, name in enumerate(effects.names) if color_of(name) == color])
        hover = [f"without {effects.names[i]}<br>{title.lower()}: <b>{values[i]:+.3f}</b>" for i in at]
        marks.append(Bars(rows[at], values[at], color, height=0.68, hover=hover, name=f"{title} {color}"))
    marks.append(Lines(np.zeros(2), np.array([-0.5, n - 0.5]), MUTED, 1, name=f"{title} zero"))
    for i, value in enumerate(values):
        form = "+.2f" if title == "Change of score" and abs(value) >= 0.005 else ".2f"
        word = format(round(float(value), 2) + 0.0, form).replace("-", "−") + (f" · {words[i]}" if words else "")
        # Beside the bar, on the side where there is room.
        marks.append(Text(max(float(value), 0.0), i, word, TEXT, dx=4))
    room = 1.9 if words else 1.0
    return Panel(
        (sides[0], HEAD_PX, sides[1], height_of(effects) - FOOT_PX),
        Axis((-1.08 * reach if signed else 0, (1.05 + room) * reach), ticks=()),
        Axis(
            (n - 0.4, -0.6),
            "",
            rows.tolist() if title == "Weight taken" else (),
            [f"{name}  " for name in effects.names],
        ),
        marks,
        title=title,
        subtitle=subtitle,
    )


def color_of(name: str) -> str:
    """Levels have their own colour, the heaviest points that of the selected query."""
    if name in LEVEL_NAMES:
        return LEVEL_COLORS[LEVEL_NAMES.index(name)]
    return SELECTED if name == HEAVIEST else GREY
