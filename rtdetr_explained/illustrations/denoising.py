"""Denoising: the training trick that asks the decoder to repair noised copies of the true boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy, iou
from rtdetr_explained.drawing.colors import Theme
from rtdetr_explained.drawing.to_matplotlib import to_matplotlib
from rtdetr_explained.drawing.to_plotly import to_plotly
from rtdetr_explained.errors import InputError
from rtdetr_explained.illustrations.choice import check_choice
from rtdetr_explained.illustrations.denoising_drawing import drawing
from rtdetr_explained.tracing.trace import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class DenoisingView:
    """What the figure shows: one group of a denoising trace, with G objects. Boxes (G, 4) are cxcywh in 0..1.

    `positive` and `negative` are where the group's queries start (a negative box whose corners crossed has almost no
    size), `repaired` is where the positives end. `iou_before` and `iou_after` (G,) compare positives with the truth,
    `positive_scores` (G,) are the probabilities of the true class after the last layer and `negative_scores` (G,) the
    best class probability of the negatives. `given_names` are the labels that the positives were given, some of them
    wrong on purpose. `blocked` (M+Q, M+Q) is the attention mask: M denoising queries in `num_groups` groups, then Q
    matching ones.
    """

    photo: Image.Image
    image_size: tuple[int, int]
    group: int
    num_groups: int
    num_denoising: int
    names: tuple[str, ...]
    given_names: tuple[str, ...]
    targets: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    repaired: np.ndarray
    iou_before: np.ndarray
    iou_after: np.ndarray
    positive_scores: np.ndarray
    negative_scores: np.ndarray
    blocked: np.ndarray


def view(trace: Trace, group: int = 0) -> DenoisingView:
    """One group of denoising queries, from a trace that `Detector.trace_denoising` made.

    Raises InputError for a trace without denoising queries and for a group that does not exist.
    """
    if "denoising" not in trace.meta:
        raise InputError(
            "This trace has no denoising queries; make one with detector.trace_denoising(trace, boxes, labels), which "
            "needs at least one object."
        )
    facts = trace.meta["denoising"]
    G = facts["group_size"]
    check_choice("group", group, facts["num_groups"])
    positive = np.arange(G) + 2 * G * group
    negative = positive + G
    labels = np.array(facts["targets"]["labels"], dtype=np.int64)
    targets = np.array(facts["targets"]["boxes"], dtype=np.float32).reshape(-1, 4)
    start = trace["decoder.layers.0.reference_boxes"].array
    repaired = trace[f"decoder.layers.{trace.num_layers - 1}.boxes"].array[positive]
    scores = trace.derived.layer_scores[-1]
    return DenoisingView(
        photo=trace.photo,
        image_size=trace.image_size,
        group=group,
        num_groups=facts["num_groups"],
        num_denoising=facts["num_denoising"],
        names=tuple(trace.class_names[label] for label in labels),
        given_names=tuple(trace.class_names[label] for label in trace["denoising.labels"].array[positive]),
        targets=targets,
        positive=start[positive],
        negative=start[negative],
        repaired=repaired,
        iou_before=iou(cxcywh_to_xyxy(start[positive]), cxcywh_to_xyxy(targets)),
        iou_after=iou(cxcywh_to_xyxy(repaired), cxcywh_to_xyxy(targets)),
        positive_scores=scores[positive, labels],
        negative_scores=scores[negative].max(1),
        blocked=trace["denoising.attention_mask"].array,
    )


def plotly_figure(view: DenoisingView, theme: Theme) -> go.Figure:
    """The interactive figure."""
    return to_plotly(drawing(view, theme), theme)


def matplotlib_figure(view: DenoisingView, theme: Theme) -> Figure:
    """The figure for export."""
    return to_matplotlib(drawing(view, theme), theme)


def caption(view: DenoisingView) -> str:
    """One sentence saying what is seen."""
    n = len(view.names)
    return (
        f"Training only: in group {view.group + 1} of {view.num_groups} the decoder pulls {n} slightly noised "
        f"{'box' if n == 1 else 'boxes'} from a mean IoU of {view.iou_before.mean():.2f} to "
        f"{view.iou_after.mean():.2f}, and gives the strongly noised {'one' if n == 1 else 'ones'} scores of at most "
        f"{view.negative_scores.max():.2f}."
    )


def alt_text(view: DenoisingView) -> str:
    """The figure in words."""
    return (
        "The photo with true boxes and the noised boxes of one denoising group, the photo with the repaired boxes, the "
        "overlap of each object before and after, scores of positives and negatives, and the attention mask with its "
        "blocks. " + caption(view)
    )


def table(view: DenoisingView) -> dict[str, list]:
    """The objects of the group."""
    return {
        "object": list(range(1, len(view.names) + 1)),
        "class": list(view.names),
        "given class": list(view.given_names),
        "IoU before": view.iou_before.astype(float).round(3).tolist(),
        "IoU after": view.iou_after.astype(float).round(3).tolist(),
        "score of the positive": view.positive_scores.astype(float).round(3).tolist(),
        "score of the negative": view.negative_scores.astype(float).round(3).tolist(),
    }
