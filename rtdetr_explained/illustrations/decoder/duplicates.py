"""Duplicates: several queries end on one object with the same class; which of them wins, and whom the others heed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy_px, iou
from rtdetr_explained.illustrations.decoder.trajectory import derived_steps, step_boxes, step_scores
from rtdetr_explained.tracing.choice import Choice
from rtdetr_explained.tracing.trace import Trace, sigmoid

SENTENCE = (
    "RT-DETR has no step that removes duplicates afterwards. Training asks one query of each object for a high score "
    "and all others for low ones; where that does not succeed, an object is detected twice. Only in self-attention do "
    "queries learn of each other."
)
LEAST_IOU = 0.5


@dataclass(frozen=True)
class Duplicates:
    """The n queries that end on one object, best final score first: the winner, then its duplicates.

    They end with the class of `query` (which is one of them) in boxes whose IoU with its box, `iou` (n,), is at least
    `LEAST_IOU`. `boxes_px` (L+1, n, 4) are x0 y0 x1 y1, the first ones and those after each layer; `scores` (L+1, n)
    those of the class; `derived` (L+1,) which of them the model does not compute itself. `to_winner` (L, n)
    is the self-attention that each of them gives the winner in each layer, by `head` or as the mean of all heads, and
    `from_winner` (L, n) what the winner gives each; the winner's own entry is what it gives itself. `even` is the
    share that every query would get if attention were spread evenly. `rivals` are queries above the threshold that end
    there, too, but as another class: number, class and score, best first.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    query: int
    compare: int | None
    layer: int
    head: int | None
    name: str
    threshold: float
    members: np.ndarray
    iou: np.ndarray
    boxes_px: np.ndarray
    scores: np.ndarray
    derived: np.ndarray
    to_winner: np.ndarray
    from_winner: np.ndarray
    even: float
    rivals: tuple[tuple[int, str, float], ...]

    @property
    def winner(self) -> int:
        """The query with the best final score of them."""
        return int(self.members[0])

    @property
    def above(self) -> np.ndarray:
        """Those of them that are detections, as their scores are above the threshold."""
        return self.members[self.scores[-1] > self.threshold]


@dataclass(frozen=True)
class Removal:
    """What a re-run without the winner changed, measured: final scores (n-1,) of its duplicates for their class.

    `elsewhere` is the median of the change, up or down, of the best score of all queries that are no duplicates of it,
    and `elsewhere_p95` its 95th percentile; both are NaN where there are none.
    """

    dropped: int
    members: np.ndarray
    before: np.ndarray
    after: np.ndarray
    elsewhere: float
    elsewhere_p95: float


def view(choice: Choice) -> Duplicates:
    """The queries that end where the chosen one ends."""
    trace, head = choice.trace, choice.head
    members, overlap = ending_together(trace, choice.query)
    to_winner, from_winner = [], []
    for i in range(trace.num_layers):
        weights = choice.rows(f"decoder.layers.{i}.self_attn.weights")  # H Q Q
        weights = weights if head is None else weights[head : head + 1]
        to_winner.append(weights[:, members, members[0]].astype(np.float32).mean(0))
        from_winner.append(weights[:, members[0], members].astype(np.float32).mean(0))
    return Duplicates(
        photo=trace.photo,
        image_size=trace.image_size,
        query=choice.query,
        compare=choice.compare,
        layer=choice.layer,
        head=head,
        name=trace.class_names[trace.labels[choice.query]],
        threshold=choice.threshold,
        members=members,
        iou=overlap,
        boxes_px=cxcywh_to_xyxy_px(step_boxes(choice)[:, members], trace.image_size),
        scores=step_scores(choice)[:, members],
        derived=derived_steps(trace),
        to_winner=np.stack(to_winner),
        from_winner=np.stack(from_winner),
        even=1 / len(trace.logits),
        rivals=rivals(choice),
    )


def ending_together(trace: Trace, query: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the query and those that end on the same object, best final score first, and (n,) their IoU with it."""
    boxes = cxcywh_to_xyxy_px(trace.boxes, trace.image_size)
    overlap = iou(boxes[query], boxes)
    overlap[query] = 1.0  # also where its box has no area
    together = best_first(trace, (overlap >= LEAST_IOU) & (trace.labels == trace.labels[query]))
    return together, overlap[together]


def rivals(choice: Choice) -> tuple[tuple[int, str, float], ...]:
    """Number, class and score of the queries above the threshold that end there as another class, best first."""
    trace, query = choice.trace, choice.query
    boxes = cxcywh_to_xyxy_px(trace.boxes, trace.image_size)
    there = (iou(boxes[query], boxes) >= LEAST_IOU) & (trace.labels != trace.labels[query])
    return tuple(
        (q, trace.class_names[trace.labels[q]], float(trace.scores[q]))
        for q in best_first(trace, there & (trace.scores > choice.threshold)).tolist()
    )


def best_first(trace: Trace, which: np.ndarray) -> np.ndarray:
    """(n,) the queries for which `which` (Q,) is true, best final score first."""
    queries = np.flatnonzero(which)
    return queries[np.argsort(-trace.scores[queries], kind="stable")]


def removal(group: Duplicates, trace: Trace, without: Trace) -> Removal:
    """What changed from `trace` to `without`, its re-run from which `group.winner` was dropped."""
    rest = np.delete(np.arange(len(trace.logits)), group.winner)  # the rows of the re-run
    label = trace.labels[group.query]
    after = np.full(len(trace.logits), np.nan, np.float32)
    after[rest] = sigmoid(without.logits[:, label])
    losers = group.members[1:]
    others = ~np.isin(rest, losers)
    change = np.abs(without.scores[others] - trace.scores[rest[others]])
    return Removal(
        dropped=group.winner,
        members=losers,
        before=group.scores[-1, 1:],
        after=after[losers],
        elsewhere=float(np.median(change)) if len(change) else np.nan,
        elsewhere_p95=float(np.percentile(change, 95)) if len(change) else np.nan,
    )


def thousandths(removal: Removal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores before and after with three decimals, and their difference, so that what is written adds up."""
    before, after = (scores.astype(float).round(3) for scores in (removal.before, removal.after))
    return before, after, (after - before).round(3) + 0.0  # no minus before a zero


def removal_words(removal: Removal) -> str:
    """The measured change in a sentence."""
    _, after, change = thousandths(removal)
    best = int(np.argmax(after))
    control = (
        ""
        if np.isnan(removal.elsewhere)
        else f" For comparison, the scores of all other queries changed by {removal.elsewhere:.3f} (median; 95% by "
        f"less than {removal.elsewhere_p95:.3f})."
    )
    return (
        f"Without query {removal.dropped}, the best of its duplicates is query {removal.members[best]} with "
        f"{after[best]:.3f} ({change[best]:+.3f}).{control}".replace("-", "−")
    )
