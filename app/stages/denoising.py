"""Denoising: noised copies of known objects, which the decoder learns to put right."""

import streamlit as st

from app import depths
from app.panels import denoising as experiment
from app.session import traces
from app.session.choice import choice_of
from app.widgets import controls, figures, inspector
from rtdetr_explained.illustrations import denoising

view, trace = traces.current()
noised, targets = traces.denoising_of(view, trace)
groups = noised.meta["denoising"]["num_groups"]


def see() -> None:
    """Figure and inspector."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True):
            controls.group(view, groups)
            controls.seed(view)
        st.caption(targets.origin)
        figures.show("denoising", denoising.picture(denoising.view(choice_of(view, noised))))
    with right:
        if not targets.true:
            controls.threshold(view)
        inspector.show(view, trace)
    experiment.show()


depths.show("denoising", view, noised, see)
