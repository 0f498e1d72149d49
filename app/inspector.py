"""The column on the right: who the selected query is, in numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from app import controls, state
from app.state import Selected
from app.text import plain
from rtdetr_explained.illustrations.colors import LEVEL_NAMES
from rtdetr_explained.tracing.trace import Trace


def show(view: Selected, trace: Trace) -> None:
    """The selected query: its class, score and box, the place it came from, and its way through the layers."""
    query = trace.query(view.query)
    controls.query(view, trace)
    _jump(view, trace)
    name = trace.class_names[query.label]
    width, height = trace.image_size
    cx, cy, w, h = query.box * [width, height, width, height]
    _, stride_columns = trace.map_sizes[query.level]
    stride = round(trace.input_size[1] / stride_columns)
    st.table(
        {
            "Class": f"**{plain(name)}**, score **{query.score:.2f}**",
            "Box": f"{w:.0f} × {h:.0f} px, centre at ({cx:.0f}, {cy:.0f})",
            "Comes from": f"{LEVEL_NAMES[query.level]} (stride {stride}), row {query.row}, column {query.col}",
            "Token": f"{query.token:,} of {sum(h * w for h, w in trace.map_sizes):,}",
        },
        border="horizontal",
        alt=f"Query {query.index}: {name}, score {query.score:.2f}",
    )
    moved = _moves_px(query.reference_boxes, (width, height))
    rows = {
        "After layer": [str(i + 1) for i in range(trace.num_layers)],
        "Best class": [plain(trace.class_names[scores.argmax()]) for scores in query.layer_scores],
        "Score": [f"{scores.max():.2f}" for scores in query.layer_scores],
        "Box moved (px)": [f"{distance:.0f}" for distance in moved],
    }
    st.table(
        pd.DataFrame(rows),
        border="horizontal",
        hide_index=True,
        alt=f"Class, score and movement of query {query.index} after each decoder layer",
    )
    last = trace.num_layers
    st.caption(
        f"Scores before layer {last} are derived: each layer's own class head is applied to its output, as the model "
        "itself only does in training."
        if last > 1
        else "One decoder layer ran."
    )


def _jump(view: Selected, trace: Trace) -> None:
    """A list of the detections, to go to one of them."""
    found = trace.detections(view.threshold)
    labels = {d.query: f"{d.name} {d.score:.2f}" for d in reversed(found)}
    options = list(dict.fromkeys(d.query for d in found))
    if not options:
        return
    key = "jump"
    st.session_state[key] = view.query if view.query in labels else None
    st.selectbox(
        "Go to a detection",
        options,
        index=None,
        format_func=lambda q: f"{labels[q]} · query {q}",
        placeholder=f"{len(options)} above {view.threshold:.2f}",
        key=key,
        on_change=lambda: state.change(query=st.session_state[key]),
    )


def _moves_px(boxes: np.ndarray, image_size: tuple[int, int]) -> list[float]:
    """How far the centre of the box moved in each layer."""
    centres = boxes[:, :2] * image_size
    return np.linalg.norm(np.diff(centres, axis=0), axis=1).tolist()
