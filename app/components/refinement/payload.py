"""The decoder as one object of bytes: what a browser needs to move boxes through the layers by itself.

Section "photo" is a JPEG, all others are little-endian float32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from app.components import payload
from rtdetr_explained.boxes import cxcywh_to_xyxy_px
from rtdetr_explained.drawing.colors import COMPARED, ON_PHOTO, PHOTO_HALO, SELECTED
from rtdetr_explained.drawing.layout import region_around
from rtdetr_explained.drawing.photo import photo_jpeg
from rtdetr_explained.illustrations import query_facts
from rtdetr_explained.illustrations.decoder.duplicates import ending_together
from rtdetr_explained.illustrations.decoder.trajectory import derived_steps, step_boxes, step_scores, trajectory
from rtdetr_explained.illustrations.decoder.view import LINKS, attention_of
from rtdetr_explained.tracing.choice import Choice

GROUND_PX = 720  # longest side of the photo


def pack(choice: Choice) -> bytes:
    """Boxes and scores of all queries at every step, and whom the selected one listens to in every layer.

    Sections: "boxes" (L+1, Q, 4) as x0 y0 x1 y1 in pixels, "scores" (L+1, Q) of the class each query ends as,
    "attention" (L, Q) from the selected query, by the chosen head or as the mean of all. How far the chosen ones moved
    is in pixels of the photo where the unit is "px", else in 0..1 of its width and height.
    """
    trace = choice.trace
    boxes = cxcywh_to_xyxy_px(step_boxes(choice), trace.image_size)
    attention = np.stack([attention_of(choice, i) for i in range(trace.num_layers)])
    queries = [q for q in (choice.query, choice.compare) if q is not None]
    sections = {
        "boxes": boxes.astype("<f4").tobytes(),
        "scores": step_scores(choice).astype("<f4").tobytes(),
        "attention": attention.astype("<f4").tobytes(),
        "photo": photo_jpeg(trace.photo, GROUND_PX),
    }
    header = {
        "size": trace.image_size,
        "layers": trace.num_layers,
        "queries": len(trace.logits),
        "step": choice.layer + 1,
        "query": choice.query,
        "compare": choice.compare,
        "threshold": choice.threshold,
        "unit": choice.unit,
        "heads": f"mean of {choice.config['num_heads']} heads" if choice.head is None else f"head {choice.head}",
        "links": LINKS,
        "names": trace.class_names,
        "labels": trace.labels.tolist(),
        "duplicates": [q for q in ending_together(trace, choice.query)[0].tolist() if q != choice.query],
        "derived": derived_steps(trace).tolist(),
        "chosen": [described(replace(choice, query=query)) for query in queries],
        "region": region_around(np.concatenate(boxes[:, queries]), trace.image_size),
        "colors": {"selected": SELECTED, "compared": COMPARED, "photo": ON_PHOTO, "halo": PHOTO_HALO},
    }
    return payload.pack(header, sections)


def described(choice: Choice) -> dict[str, Any]:
    """What is said of one query at each step."""
    path = trajectory(choice)
    return {
        "query": choice.query,
        "bestNames": path.best_names,
        "best": np.round(path.best_scores.astype(float), 4).tolist(),
        "moved": [round(layer.moved, 5) for layer in query_facts.view(choice).layers],
        "growth": np.round(path.growth, 4).tolist(),
    }
