"""Deformable attention: the few points a query reads on the three maps, and how they come to lie there."""

from collections.abc import Callable

import streamlit as st

from app import depths
from app.components import sampling_canvas
from app.panels import sampling_effect, sampling_panels, sampling_point, sampling_proof
from app.session import models
from app.session.choice import choice_of
from app.session.state import Selected
from app.widgets import figures, inspector
from rtdetr_explained.illustrations.deformable_attention import figure
from rtdetr_explained.illustrations.deformable_attention import view as points
from rtdetr_explained.tracing.trace import Trace

view, trace = models.current()


def see() -> None:
    """The canvas with its proof and what the weights mean; the point and the query beside it; all queries below."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        sampling_canvas.show(view, trace)
        sampling_proof.show(view, trace)
        figures.show_twins("deformable_attention", figure.picture(points.view(choice_of(view, trace))))
        sampling_effect.show_points(view, trace)
        sampling_effect.show_parts(view, trace)
        sampling_panels.show_weights(view, trace)
    with right:
        sampling_point.show(view, trace)
        inspector.show(view, trace)
    _beside(sampling_panels.show_spread, sampling_panels.show_sampling)


def _beside(*panels: Callable[[Selected, Trace], None]) -> None:
    for column, panel in zip(st.columns(len(panels), gap="medium"), panels, strict=True):
        with column:
            panel(view, trace)


depths.show("deformable_attention", view, trace, see)
