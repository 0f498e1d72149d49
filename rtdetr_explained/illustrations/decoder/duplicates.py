"""Duplicates: several queries end on one object with the same class; which of them wins, and whom the others heed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy_px, iou
from rtdetr_explained.drawing.colors import Theme
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.illustrations.choice import check_choice
from rtdetr_explained.illustrations.decoder.duplicates_figure import drawing
from rtdetr_explained.illustrations.decoder.trajectory import derived_steps, step_boxes, step_scores
from rtdetr_explained.tracing.trace import Trace, sigmoid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SENTENCE = (
    "RT-DETR has no step that removes duplicates afterwards: one query of each object must come out with a high score "
    "and the others with low ones. Only in self-attention do queries learn of each other."
)
LEAST_IOU = 0.5


@dataclass(frozen=True)
class Duplicates:
    """The n queries that end on one object, best final score first: the winner, then its duplicates.

    They end with the class of `query` (which is one of them) in boxes whose IoU with its box, `iou` (n,), is at least
    `LEAST_IOU`. `boxes_px` (L+1, n, 4) are x0 y0 x1 y1, the first ones and those after each layer; `scores` (L+1, n)
    the probability of the class; `derived` (L+1,) which of them the model does not compute itself. `to_winner` (L, n)
    is the self-attention that each of them gives the winner in each layer, by `head` or as the mean of all heads, and
    `from_winner` (L, n) what the winner gives each; the winner's own entry is what it gives itself. `even` is the
    share that every query would get if attention were spread evenly.
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

    @property
    def winner(self) -> int:
        """The query with the best final score of them."""
        return int(self.members[0])


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


def view(
    trace: Trace,
    query: int,
    layer: int | None = None,
    head: int | None = None,
    compare: int | None = None,
    threshold: float = 0.5,
) -> Duplicates:
    """The queries that end where this one ends. Raises InputError when a query, layer or head does not exist."""
    count = len(trace.logits)
    for chosen in (query, compare):
        if chosen is not None:
            check_choice("query", chosen, count)
    layer = check_choice("layer", trace.num_layers - 1 if layer is None else layer, trace.num_layers)
    if head is not None:
        check_choice("head", head, trace.meta["config"]["num_heads"])
    members, overlap = ending_together(trace, query)
    to_winner, from_winner = [], []
    for i in range(trace.num_layers):
        weights = trace[f"decoder.layers.{i}.self_attn.weights"].array[:, -count:, -count:]  # H Q Q
        weights = weights if head is None else weights[head : head + 1]
        to_winner.append(weights[:, members, members[0]].astype(np.float32).mean(0))
        from_winner.append(weights[:, members[0], members].astype(np.float32).mean(0))
    return Duplicates(
        photo=trace.photo,
        image_size=trace.image_size,
        query=query,
        compare=compare,
        layer=layer,
        head=head,
        name=trace.class_names[trace.labels[query]],
        threshold=threshold,
        members=members,
        iou=overlap,
        boxes_px=cxcywh_to_xyxy_px(step_boxes(trace)[:, members], trace.image_size),
        scores=step_scores(trace)[:, members],
        derived=derived_steps(trace),
        to_winner=np.stack(to_winner),
        from_winner=np.stack(from_winner),
        even=1 / count,
    )


def ending_together(trace: Trace, query: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the query and those that end on the same object, best final score first, and (n,) their IoU with it."""
    boxes = cxcywh_to_xyxy_px(trace.boxes, trace.image_size)
    overlap = iou(boxes[query], boxes)
    overlap[query] = 1.0  # also where its box has no area
    together = np.nonzero((overlap >= LEAST_IOU) & (trace.labels == trace.labels[query]))[0]
    together = together[np.argsort(-trace.scores[together], kind="stable")]
    return together, overlap[together]


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


def plotly_figure(view: Duplicates, theme: Theme) -> go.Figure:
    """The interactive figure."""
    return to_plotly(drawing(view, theme), theme)


def matplotlib_figure(view: Duplicates, theme: Theme) -> Figure:
    """The figure for export."""
    return to_matplotlib(drawing(view, theme), theme)


def caption(view: Duplicates) -> str:
    """Sentences that say what is seen."""
    if len(view.members) == 1:
        return (
            f"No other query ends as “{view.name}” in a box that overlaps that of query {view.query} by an IoU of at "
            f"least {LEAST_IOU}."
        )
    count, given = len(view.members) - 1, np.median(view.to_winner[:, 1:], axis=1)
    found = int((view.scores[-1, 1:] > view.threshold).sum()) or "none"
    who = "one other query ends" if count == 1 else f"{count} other queries end"
    paid = ", ".join(f"{share:.1%}" for share in given)
    heads = "mean of all heads" if view.head is None else f"head {view.head}"
    return (
        f"Query {view.winner} ends as “{view.name}” with {view.scores[-1, 0]:.2f}; {who} on the same object, {found} "
        f"of them above {view.threshold:.2f}. Layer by layer, such a duplicate gives the winner {paid} of its "
        f"self-attention (median; {heads}); an even share would be {view.even:.1%}."
    )


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


def thousandths(removal: Removal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores before and after with three decimals, and their difference, so that what is written adds up."""
    before, after = (scores.astype(float).round(3) for scores in (removal.before, removal.after))
    return before, after, (after - before).round(3) + 0.0  # no minus before a zero


def alt_text(view: Duplicates) -> str:
    """The figure in words."""
    return (
        "The part of the photo with the boxes of all queries that end there; their scores by layer; the share of "
        "self-attention that each gives to the winner by layer. " + caption(view)
    )


def table(view: Duplicates) -> dict[str, list]:
    """A row for each query: overlap, scores by layer, and the attention between it and the winner by layer."""
    columns: dict[str, list] = {
        "query": view.members.tolist(),
        "IoU": [round(float(value), 2) for value in view.iou],
    }
    last = len(view.scores) - 1
    for step, scores in enumerate(view.scores):
        name = "first score" if step == 0 else f"score after {step}" + (" (derived)" if step < last else "")
        columns[name] = [round(float(score), 3) for score in scores]
    for layer, (to, back) in enumerate(zip(view.to_winner, view.from_winner, strict=True), start=1):
        columns[f"gives winner, layer {layer}"] = [round(float(share), 4) for share in to]
        columns[f"winner gives, layer {layer}"] = [round(float(share), 4) for share in back]
    return columns
