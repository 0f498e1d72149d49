"""The figure of the decoder: links between queries, one box through the layers, its scores, its attention weights."""

from __future__ import annotations

from html import escape

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.drawing.colors import BACKGROUND, COMPARED, GREY, MUTED, ON_PHOTO, PHOTO_HALO, SELECTED, TEXT
from rtdetr_explained.drawing.layout import outline, photo_height, photo_panel, photo_part, region_around
from rtdetr_explained.drawing.marks import (
    Area,
    Axis,
    Bars,
    Drawing,
    Extent,
    Lines,
    Mark,
    Panel,
    Photo,
    Picture,
    Points,
    Text,
)
from rtdetr_explained.drawing.photo import soft_photo
from rtdetr_explained.drawing.text import box_text, short_name
from rtdetr_explained.illustrations.decoder.view import DecoderView

PHOTO_TOP = 42  # pixels from above
BELOW_PHOTO = 278  # pixels from the lower edge of the photos to that of the figure


def picture(view: DecoderView) -> Picture:
    """Two photos above, two charts below."""
    panels = [listening(view), refinement(view), score_steps(view), weights(view)]
    alt_text = (
        f"The photo with the final boxes of all queries and links from query {view.query} to those it attends to; "
        "an enlarged part with its box after each layer; its score by layer; the heaviest attention weights as bars. "
        + caption(view)
    )
    return Picture(Drawing(panels, height=figure_height(view)), caption(view), alt_text, table(view))


def figure_height(view: DecoderView) -> int:
    """Pixels; less for a wide photo."""
    return PHOTO_TOP + photo_height(view.image_size) + BELOW_PHOTO


def photo_area(view: DecoderView, left: float, right: float) -> Area:
    """The upper row."""
    return (left, PHOTO_TOP, right, figure_height(view) - BELOW_PHOTO)


def chart_area(view: DecoderView, left: float, right: float, foot: int) -> Area:
    """The lower row, with `foot` pixels kept for what is written under it."""
    height = figure_height(view)
    return (left, height - BELOW_PHOTO + 62, right, height - foot)


def listening(view: DecoderView) -> Panel:
    """The whole photo: every final box, and links from the query to those it attends to."""
    width, height = view.image_size
    boxes = cxcywh_to_xyxy_px(view.final_boxes, view.image_size)
    points = view.points * np.array([width, height])
    others = np.arange(len(boxes)) != view.query
    found = (view.final_scores > view.threshold) & others
    marks: list[Mark] = [Photo(soft_photo(view.photo), (0, 0, width, height))]
    for shown, line_width, alpha, halo, name in (
        (~found & others, 1.0, 0.22, False, "other queries"), (found, 1.5, 0.9, True, "other detections"),
    ):  # fmt: skip
        marks.append(outline(boxes[shown], ON_PHOTO, line_width, alpha=alpha, halo=halo, name=name))
    strongest = max(float(view.attention[view.linked].max(initial=0)), 1e-9)
    start = points[view.query]
    for q in view.linked:
        strength = float(view.attention[q]) / strongest
        x, y = np.array([start[0], points[q, 0]]), np.array([start[1], points[q, 1]])
        marks.append(Lines(x, y, SELECTED, 1 + 3.5 * strength, alpha=0.5 + 0.5 * strength, name=f"link to query {q}"))
    names = [f"{escape(name)} {score:.2f}" for name, score in zip(view.final_names, view.final_scores, strict=True)]
    hover = [f"query {q} · {name}<br>attention <b>{view.attention[q]:.3f}</b>" for q, name in enumerate(names)]
    size = np.where(np.isin(np.arange(len(boxes)), view.linked), 7.0, 4.0)
    ids = np.nonzero(others)[0]
    texts = [hover[q] for q in ids]
    x, y = points[others].T
    marks.append(
        Points(x, y, ON_PHOTO, size[others], edge=PHOTO_HALO, hover=texts, ids=ids, name="reference points"),
    )
    if view.compare is not None:
        marks.append(outline(boxes[view.compare], COMPARED, 2.5, "dash", name="compared query"))
    marks += [
        outline(boxes[view.query], SELECTED, 2.5, name="selected query"),
        Points(
            start[:1], start[1:], SELECTED, 10, edge=ON_PHOTO, hover=[hover[view.query]], name="its reference point"
        ),
    ]
    heads = f"mean of {view.num_heads} heads" if view.head is None else f"head {view.head}"
    return photo_panel(
        photo_area(view, 0.012, 0.49),
        view.image_size,
        marks,
        title=f"Whom query {view.query} listens to",
        subtitle=f"layer {view.layer + 1}, self-attention, {heads}",
    )


def refinement(view: DecoderView) -> Panel:
    """The part of the photo around the query, with its box after each layer."""
    boxes = cxcywh_to_xyxy_px(view.boxes, view.image_size)
    region = region_around(boxes, view.image_size)
    final = cxcywh_to_xyxy_px(view.final_boxes, view.image_size)
    found = (view.final_scores > view.threshold) & (np.arange(len(final)) != view.query)
    marks: list[Mark] = [photo_part(view.photo, view.image_size, region)]
    marks.append(outline(final[found], ON_PHOTO, alpha=0.9, name="other detections"))
    if view.compared_boxes is not None:
        compared = cxcywh_to_xyxy_px(view.compared_boxes[-1], view.image_size)
        marks.append(outline(compared, COMPARED, 2.5, name="final box of the compared query"))
    last = len(boxes) - 1
    for i, (step, box, score) in enumerate(zip(view.steps, boxes, view.scores, strict=True)):
        dash = "dot" if i == 0 else "solid" if i == last else "dash"
        strength = i / last
        hover = f"{step}: {box_text(box)} px<br>score <b>{score:.2f}</b>"
        marks.append(outline(box, SELECTED, 1.5 + 1.5 * strength, dash, 0.6 + 0.4 * strength, hover=hover, name=step))
    marks += step_labels(boxes, region)
    return photo_panel(
        photo_area(view, 0.51, 0.988),
        region,
        marks,
        title="Its box, layer after layer",
        subtitle="dotted: first, dashed: between, solid: final",
    )


def step_labels(boxes: np.ndarray, region: Extent) -> list[Mark]:
    """A name for each box in a column beside all of them, on the side with more room, with a line to its edge."""
    names = ["first", *(str(i) for i in range(1, len(boxes) - 1)), "final"]
    x0, y0, x1, y1 = region
    left = boxes[:, 0].min() - x0 > x1 - boxes[:, 2].max()
    width, height = x1 - x0, y1 - y0
    column = max(boxes[:, 0].min() - 0.06 * width, x0 + 0.17 * width) if left else boxes[:, 2].max() + 0.06 * width
    column = min(column, x1 - 0.17 * width)
    top, bottom = boxes[:, 1].min(), boxes[:, 3].max()
    reach = max(float(bottom - top) * 0.8, 0.085 * height * (len(names) - 1)) / 2
    middle = float(np.clip((top + bottom) / 2, y0 + reach + 0.04 * height, max(y1 - reach - 0.04 * height, y0 + reach)))
    marks: list[Mark] = []
    for name, box, y in zip(names, boxes, np.linspace(middle - reach, middle + reach, len(names)), strict=True):
        edge = np.array([box[0] if left else box[2], np.clip(y, box[1], box[3])])
        marks.append(Lines(np.array([column, edge[0]]), np.array([y, edge[1]]), SELECTED, 1, name=f"line to {name}"))
        look = {"align": "right" if left else "left", "bold": name == "final", "box": ON_PHOTO}
        marks.append(Text(float(column), float(y), name, SELECTED, **look))
    return marks


def score_steps(view: DecoderView) -> Panel:
    """The score of the final class, step by step."""
    steps = np.arange(len(view.scores))
    hover = [
        f"{step}: <b>{score:.3f}</b>{' (derived)' if derived else ''}"
        for step, score, derived in zip(view.steps, view.scores, view.derived, strict=True)
    ]
    traced = ~view.derived
    marks: list[Mark] = [Lines(steps, view.scores, SELECTED, 1.5, name="score")]
    for shown, color, name in ((traced, SELECTED, "traced"), (view.derived, BACKGROUND, "derived")):
        texts = [text for text, yes in zip(hover, shown, strict=True) if yes]
        marks.append(Points(steps[shown], view.scores[shown], color, 9, edge=SELECTED, hover=texts, name=name))
    if view.compared_scores is not None:
        marks.append(Lines(steps, view.compared_scores, COMPARED, 1.5, "dash", name="score of the compared query"))
        end = float(view.compared_scores[-1])
        marks.append(Text(float(steps[-1]) + 0.08, end, f"{view.compare}", COMPARED, dx=4, bold=True))
    for step, score in zip(steps, view.scores, strict=True):
        dy, valign = (-8, "top") if score > 0.85 else (8, "bottom")
        marks.append(Text(float(step), float(score), f"{score:.2f}", TEXT, align="center", valign=valign, dy=dy))
    last = len(steps) - 1
    if last > 1:
        marks.append(Lines(np.array([0.8, last - 0.8]), np.array([-0.1, -0.1]), GREY, 1, name="derived steps"))
        marks.append(Text(last / 2, -0.1, "derived", MUTED, align="center", box=BACKGROUND))
    ticks = ["first", *(str(i) for i in range(1, last)), f"{last}, final"]
    return Panel(
        chart_area(view, 0.07, 0.47, 48),
        Axis((-0.4, last + 0.4), "decoder layer", list(range(last + 1)), ticks),
        Axis((-0.2, 1.05), "score", (0, 0.5, 1), grid=True),
        marks,
        title=f"Score of “{view.class_name}”",
        subtitle="hollow: derived, by that layer’s own class head",
    )


def weights(view: DecoderView) -> Panel:
    """The heaviest attention weights as bars, heaviest on top, after the query's own."""
    shown = [view.query, *view.linked.tolist()]
    values = view.attention[shown]
    rows = np.arange(len(shown))
    names = ["itself", *(f"{q} · {short_name(view.final_names[q])} {view.final_scores[q]:.2f}" for q in shown[1:])]
    top = max(float(values.max()), 1e-9)
    marks: list[Mark] = []
    for at, color, name in ((rows[:1], GREY, "itself"), (rows[1:], SELECTED, "others")):
        hover = [
            f"query {shown[i]} · {escape(view.final_names[shown[i]])}<br>attention <b>{values[i]:.4f}</b>" for i in at
        ]
        marks.append(Bars(at, values[at], color, hover=hover, name=name))
    marks += [Text(float(v), float(i), f"{v:.3f}", TEXT, dx=4) for i, v in zip(rows, values, strict=True)]
    return Panel(
        chart_area(view, 0.70, 0.988, 28),
        Axis((0, top * 1.4)),
        Axis((len(shown) - 0.5, -0.5), "", rows.tolist(), names),
        marks,
        title="Attention weights",
        subtitle=f"other {len(view.attention) - len(shown)} queries: {view.to_others:.2f}",
    )


def caption(view: DecoderView) -> str:
    """One sentence saying what is seen."""
    moved = cxcywh_to_xyxy_px(view.boxes, view.image_size)
    step = np.abs(moved[-1] - moved[0]).max()
    heads = f"the mean of {view.num_heads} heads" if view.head is None else f"head {view.head}"
    return (
        f"Query {view.query} ends as “{view.class_name}” with {view.scores[-1]:.2f} after its edges moved by up to "
        f"{step:.0f} px; in layer {view.layer + 1} ({heads}) it gives {view.to_itself:.0%} of its "
        f"self-attention to itself and {view.to_linked:.0%} to the {len(view.linked)} queries "
        "linked."
    )


def table(view: DecoderView) -> dict[str, list]:
    """The query's box in pixels and its score, step by step."""
    x0, y0, x1, y1 = cxcywh_to_xyxy_px(view.boxes, view.image_size).astype(float).round(1).T.tolist()
    return {
        "step": list(view.steps),
        "x0 px": x0,
        "y0 px": y0,
        "x1 px": x1,
        "y1 px": y1,
        "score": [round(float(score), 4) for score in view.scores],
        "origin": ["derived" if derived else "traced" for derived in view.derived],
    }
