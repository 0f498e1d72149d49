"""Denoising: the training trick that asks the decoder to repair noised copies of the true boxes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from rtdetr_explained.boxes import cxcywh_to_xyxy, cxcywh_to_xyxy_px, iou
from rtdetr_explained.drawing.colors import (
    ALLOWED,
    BACKGROUND,
    BLOCKED,
    NEGATIVE,
    ON_PHOTO,
    PHOTO_HALO,
    POSITIVE,
    SELECTED,
    TEXT,
)
from rtdetr_explained.drawing.layout import box_outline, outline, photo_height, photo_panel
from rtdetr_explained.drawing.marks import (
    Axis,
    Dash,
    Drawing,
    Heat,
    Lines,
    Mark,
    Panel,
    Photo,
    Picture,
    Points,
    Shape,
    Text,
)
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.drawing.text import box_text, short_name
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.choice import Choice

PHOTO_TOP = 42  # pixels from above
GAP = 62  # pixels between the photos and the charts
FOOT = 44  # pixels below the charts
ROW_PX = 19


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


def view(choice: Choice) -> DenoisingView:
    """The chosen group of denoising queries, in a trace that `Detector.trace_denoising` made.

    Raises InputError for a trace without denoising queries.
    """
    trace, group = choice.trace, choice.group
    if "denoising" not in trace.meta:
        raise InputError(
            "This trace has no denoising queries; make one with detector.trace_denoising(trace, boxes, labels), which "
            "needs at least one object."
        )
    facts = trace.meta["denoising"]
    G = facts["group_size"]
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


def picture(view: DenoisingView) -> Picture:
    """Noised boxes, repaired boxes, overlap and scores by object, and the attention mask; it grows with the objects."""
    height = charts_top(view) + max(206, ROW_PX * len(view.names)) + FOOT
    panels = [before(view), after(view), overlap(view, height), scores(view, height), mask(view, height)]
    said = caption(view)
    return Picture(
        Drawing(panels, height=height),
        caption=said,
        alt_text="The photo with true boxes and the noised boxes of one denoising group, the photo with the repaired "
        "boxes, the overlap of each object before and after, scores of positives and negatives, and the attention mask "
        "with its blocks. " + said,
        table=table(view),
    )


def caption(view: DenoisingView) -> str:
    """One sentence saying what is seen."""
    n = len(view.names)
    before, after = round(float(view.iou_before.mean()), 2), round(float(view.iou_after.mean()), 2)
    change = f"stays at {after:.2f}"
    if after != before:
        change = f"{'rises' if after > before else 'falls'} from {before:.2f} to {after:.2f}"
    what = f"the IoU of {n} slightly noised box" if n == 1 else f"the mean IoU of {n} slightly noised boxes"
    others = "one scores" if n == 1 else "ones score"
    return (
        f"Training only: in group {view.group + 1} of {view.num_groups} {what} with the truth {change} in the decoder, "
        f"and the strongly noised {others} at most {view.negative_scores.max():.2f}."
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


def charts_top(view: DenoisingView) -> int:
    """Where the lower row begins, in pixels from above."""
    return PHOTO_TOP + photo_height(view.image_size) + GAP


def boxes_mark(
    view: DenoisingView, boxes: np.ndarray, color: str, name: str, dash: Dash = "solid", width: float = 2
) -> Lines:
    """Outlines of one kind of boxes; hovering tells the object and its pixels."""
    corners = cxcywh_to_xyxy_px(boxes, view.image_size)
    x, y = box_outline(corners)
    hover = [
        f"{name}: object {i + 1}, {escape(view.names[i])}<br>{box_text(c)} px"
        for i, c in enumerate(corners)
        for _ in range(6)
    ]
    return Lines(x, y, color, width, dash, halo=dash == "solid", hover=hover, name=name)


def object_numbers(view: DenoisingView) -> list[Mark]:
    """The number of each object in the middle of its true box."""
    center = view.targets[:, :2] * np.array(view.image_size)
    return [
        Text(float(x), float(y), str(i + 1), PHOTO_HALO, align="center", box=ON_PHOTO)
        for i, (x, y) in enumerate(center)
    ]


def before(view: DenoisingView) -> Panel:
    """True boxes and the noised boxes of the group."""
    w, h = view.image_size
    marks: list[Mark] = [
        Photo(soft_photo(view.photo), (0, 0, w, h)),
        boxes_mark(view, view.targets, ON_PHOTO, "true box"),
        boxes_mark(view, view.negative, NEGATIVE, "negative", "dot"),
        boxes_mark(view, view.positive, POSITIVE, "positive", "dash"),
        *object_numbers(view),
    ]
    return photo_panel(
        (0.012, PHOTO_TOP, 0.49, charts_top(view) - GAP),
        view.image_size,
        marks,
        title=f"Into the decoder: group {view.group + 1} of {view.num_groups}",
        subtitle="green: positive, pink: negative",
    )


def after(view: DenoisingView) -> Panel:
    """True boxes and what the decoder made of the positives."""
    w, h = view.image_size
    marks: list[Mark] = [
        Photo(soft_photo(view.photo), (0, 0, w, h)),
        boxes_mark(view, view.targets, ON_PHOTO, "true box"),
        boxes_mark(view, view.repaired, POSITIVE, "repaired", width=2.5),
        *object_numbers(view),
    ]
    return photo_panel(
        (0.51, PHOTO_TOP, 0.988, charts_top(view) - GAP),
        view.image_size,
        marks,
        title="After the last layer",
        subtitle="white: true, green: repaired",
    )


def row_axis(view: DenoisingView, labels: bool) -> Axis:
    """One row for each object, the first on top."""
    n = len(view.names)
    names = [f"{i + 1} {short_name(name)}" for i, name in enumerate(view.names)]
    return Axis((n - 0.4, -0.6), "", list(range(n)) if labels else (), names if labels else None)


def overlap(view: DenoisingView, height: int) -> Panel:
    """IoU with the true box, before and after."""
    rows = np.arange(len(view.names))
    gap = np.full(len(rows), np.nan)
    ends = np.stack([view.iou_before, view.iou_after, gap], axis=1).ravel()
    hover = [
        f"object {i + 1}, {escape(view.names[i])}, given as {escape(view.given_names[i])}<br>"
        f"IoU {view.iou_before[i]:.2f} → <b>{view.iou_after[i]:.2f}</b>"
        for i in rows
    ]
    marks: list[Mark] = [
        Lines(ends, np.stack([rows, rows, gap], axis=1).ravel(), POSITIVE, 2, name="change"),
        Points(view.iou_before, rows, BACKGROUND, 8, edge=POSITIVE, hover=hover, name="IoU before"),
        Points(view.iou_after, rows, POSITIVE, 9, hover=hover, name="IoU after"),
    ]
    for i in rows:
        text = f"{view.iou_before[i]:.2f} → {view.iou_after[i]:.2f}"
        marks.append(Text(1.05, float(i), text, TEXT))
    return Panel(
        (0.13, charts_top(view), 0.40, height - FOOT),
        Axis((0, 1.62), "IoU with the true box", (0, 0.5, 1)),
        row_axis(view, labels=True),
        marks,
        title="Overlap of the positives",
        subtitle="hollow: before, full: after",
    )


def scores(view: DenoisingView, height: int) -> Panel:
    """Scores after the last layer: the true class of positives, the best class of negatives."""
    rows = np.arange(len(view.names))
    marks: list[Mark] = []
    kinds: tuple[tuple[np.ndarray, str, Shape, str], ...] = (
        (view.positive_scores, POSITIVE, "circle", "positive, true class"),
        (view.negative_scores, NEGATIVE, "diamond", "negative, best class"),
    )
    for values, color, shape, what in kinds:
        hover = [f"object {i + 1} · {what}: <b>{values[i]:.2f}</b>" for i in rows]
        marks.append(Points(values, rows, color, 9, shape, BACKGROUND, hover=hover, name=what))
    return Panel(
        (0.46, charts_top(view), 0.62, height - FOOT),
        Axis((-0.05, 1.05), "score", (0, 0.5, 1), grid=True),
        row_axis(view, labels=False),
        marks,
        title="Scores",
        subtitle="● pos. ◆ neg.",
    )


def mask(view: DenoisingView, height: int) -> Panel:
    """Who may not look at whom: rows look, columns are looked at."""
    size, M = len(view.blocked), view.num_denoising
    step = M / view.num_groups
    hover = "query %{y} looks at %{x}<br>blocked: <b>%{z}</b> (1 = yes)"
    whole = -0.5, -0.5, size - 0.5, size - 0.5
    first, last = view.group * step - 0.5, (view.group + 1) * step - 0.5
    marks: list[Mark] = [
        Heat(view.blocked.astype(np.uint8), whole, 0, 1, (ALLOWED, BLOCKED), hover_text=hover),
        outline(np.array([first, first, last, last]), SELECTED, 2, halo=False, name="the group shown"),
    ]
    for x, y, text in (
        (M / 2, M / 2, "only their\nown group"),
        ((M + size) / 2, M / 2, "groups see\nmatching"),
        (M / 2, (M + size) / 2, "blocked: no\npeeking"),
        ((M + size) / 2, (M + size) / 2, "matching see\neach other"),
    ):
        marks.append(Text(x, y, text, PHOTO_HALO, 10, align="center", box=ON_PHOTO))
    names = [f"{view.num_groups} groups", "matching"]
    return Panel(
        (0.68, charts_top(view), 0.988, height - FOOT),
        Axis((-0.5, size - 0.5), "looked at", (M / 2, (M + size) / 2), names),
        Axis((size - 0.5, -0.5), "who looks"),
        marks,
        title="Attention mask",
        subtitle="dark: blocked",
        ratio=1,
    )
