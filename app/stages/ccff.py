"""CCFF: the three maps exchange what they know, downwards and upwards, by convolutions."""

import streamlit as st

from app import controls, depths, figures, inspector, models
from rtdetr_explained.illustrations import ccff

view, trace = models.current()


def see() -> None:
    """Figure and inspector."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        with st.container(horizontal=True):
            channel = controls.channel(view, len(trace["hybrid_encoder.ccff.n3"].array))
            scale = controls.scale(view, "stage")
        data = ccff.view(trace, channel=channel, scale=scale)
        figures.show("ccff", ccff, data)
    with right:
        inspector.show(view, trace)


depths.show("ccff", view, trace, see)
