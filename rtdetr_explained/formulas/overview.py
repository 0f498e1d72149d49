"""Formulas of the overview: from the network's last numbers to a scored box in pixels."""

from __future__ import annotations

import numpy as np

from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.formulas.formula import (
    Formula,
    column,
    formula,
    sigmoid64,
    tex,
    words,
)
from rtdetr_explained.tracing.choice import Choice


def formulas(choice: Choice) -> list[Formula]:
    """From the last numbers of the network to a scored box in pixels; RT-DETRv2 (2407.17140), post-processing."""
    trace, query = choice.trace, choice.path
    name = trace.class_names[query.label]
    z = float(trace.logits[query.index, query.label])
    score = float(sigmoid64(z))
    (W, H), (cx, cy, w, h) = trace.image_size, query.box.astype(np.float64)
    corners = np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]) * [W, H, W, H]
    found = [d for d in trace.detections(0.0) if (d.query, d.label) == (query.index, query.label)]
    traced = found[0].box_px if found else cxcywh_to_xyxy_px(query.box, trace.image_size)
    return [
        formula(
            "From logit to score",
            r"s_{q,c} = \sigma(z_{q,c}) = \frac{1}{1 + e^{-z_{q,c}}}",
            rf"s_{{{query.index},{words(name)}}} = \frac{{1}}{{1 + e^{{{tex(-z)}}}}} = {tex(score)}",
            {
                "q": f"the query, {query.index}",
                "c": f"the class, here the query's best one: {name}",
                "z": "class logit from the last layer's class head",
                "s": "score, trained towards the IoU of the box where the class is right, else towards 0; the scores "
                "of all classes do not sum to one",
            },
            score,
            trace.scores[query.index],
            "decoder.logits",
        ),
        formula(
            "From box to corners in pixels",
            r"\begin{pmatrix} x_0 \\ y_0 \\ x_1 \\ y_1 \end{pmatrix} = \begin{pmatrix} (c_x - w/2)\,W \\ "
            r"(c_y - h/2)\,H \\ (c_x + w/2)\,W \\ (c_y + h/2)\,H \end{pmatrix}",
            _corner_numbers((cx, cy, w, h), (W, H)) + f" = {column(corners)}",
            {
                r"c_x, c_y, w, h": "the final box of the query: centre and size, in parts of the image",
                r"W, H": f"width and height of the image: {W} × {H} pixels",
                r"x_0, y_0, x_1, y_1": "left, top, right and bottom edge in pixels; a box may reach beyond the image",
            },
            corners,
            traced,
            "decoder.boxes",
            note="Nothing is suppressed or clipped: each query's box is a result of its own.",
        ),
    ]


def _corner_numbers(box: tuple[float, ...], image_size: tuple[int, int]) -> str:
    cx, cy, w, h = (tex(v) for v in box)
    W, H = image_size
    return column(
        [
            rf"({cx} - {w}/2) \cdot {W}",
            rf"({cy} - {h}/2) \cdot {H}",
            rf"({cx} + {w}/2) \cdot {W}",
            rf"({cy} + {h}/2) \cdot {H}",
        ]
    )
