"""Deformable attention: the few points a query reads on the three maps, and how they come to lie there."""

from collections.abc import Callable

import streamlit as st

from app import depths
from app.components import sampling_canvas
from app.panels import deformable_attention as panels
from app.session import traces
from app.session.choice import choice_of
from app.session.view import Selected
from app.widgets import figures, inspector
from rtdetr_explained.illustrations.deformable_attention import figure
from rtdetr_explained.illustrations.deformable_attention import view as points
from rtdetr_explained.tracing.trace import Trace

view, trace = traces.current()


def see() -> None:
    """The canvas with its proof and what the weights mean; the point and the query beside it; all queries below."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        sampling_canvas.show(view, trace)
        panels.show_proof(view, trace)
        figures.show_twins("deformable_attention", figure.picture(points.view(choice_of(view, trace))))
        panels.show_points(view, trace)
        panels.show_parts(view, trace)
        panels.show_weights(view, trace)
    with right:
        panels.show_point(view, trace)
        inspector.show(view, trace)
    _beside(panels.show_spread, panels.show_sampling)


def _beside(*panels: Callable[[Selected, Trace], None]) -> None:
    for column, panel in zip(st.columns(len(panels), gap="medium"), panels, strict=True):
        with column:
            panel(view, trace)


depths.show("deformable_attention", view, trace, see)
